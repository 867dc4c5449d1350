// The token comes in the part of the address that browsers send nowhere, and is traded for a cookie.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
history.replaceState(null, "", "/");
if (token) {
  const answer = await fetch("/enter", { method: "POST", body: token });
  if (answer.ok) location.replace("/");
  else document.querySelector("p").textContent = "This address is no longer valid: type `invoke dashboard` once more.";
} else {
  document.querySelector("p").textContent = "Open the address that `invoke dashboard` has printed.";
}
