/** The workspace's files. */
export default function Files() {
  return <main class="files" id="main" />;
}
