// Added to the script of `deno doc --html`, whose pages know nothing of the site around them: the way
// back to it, at the top.
addEventListener("DOMContentLoaded", () => {
  const script = document.querySelector("script[src$='script.js']");
  const link = document.createElement("a");
  link.href = new URL("../reference.html", script.src).href;
  link.textContent = "Devices and guides";
  link.className = "contextLink";
  document.querySelector("#topnav > div > div:last-child").prepend(link);
});
