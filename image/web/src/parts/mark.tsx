/** The sign of the house. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect class="mark-ground" width="32" height="32" rx="9.5" />
      <path class="mark-line" d="M19.5 8.5v10.3a5.2 5.2 0 0 1-9.9 2.3" />
      <circle class="mark-dot" cx="12" cy="10.3" r="2.2" />
    </svg>
  );
}
