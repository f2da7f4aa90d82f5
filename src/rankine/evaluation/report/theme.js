/* The system's theme at first, then the reader's choice. Without scripts the button stays hidden. */
(function () {
  var root = document.documentElement, button = document.getElementById('theme'), kept = null;
  function dark() {
    var chosen = root.getAttribute('data-theme');
    return chosen ? chosen === 'dark' : !!window.matchMedia && matchMedia('(prefers-color-scheme: dark)').matches;
  }
  function say() {
    if (button) { button.setAttribute('aria-label', dark() ? 'Use the light theme' : 'Use the dark theme'); }
  }
  try { kept = localStorage.getItem('rankine-theme'); } catch (e) { /* storage may be blocked */ }
  if (kept === 'dark' || kept === 'light') { root.setAttribute('data-theme', kept); }
  if (!button) { return; }
  button.hidden = false;
  button.addEventListener('click', function () {
    var next = dark() ? 'light' : 'dark';
    root.setAttribute('data-theme', next);
    try { localStorage.setItem('rankine-theme', next); } catch (e) { /* stays for this visit */ }
    say();
  });
  say();
})();
