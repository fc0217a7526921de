// The page is whole without this script. With it, the page follows: one stream brings the parts that
// changed, and instants are told in the reader's own time.
(() => {
  'use strict';
  const { live: address, version } = document.body.dataset;
  const sign = document.getElementById('live');
  const say = document.getElementById('say');

  const near = new Intl.RelativeTimeFormat(undefined, { numeric: 'always', style: 'short' });
  const day = (d) => d.toDateString();
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'long' });
  const hm = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const clock = new Intl.DateTimeFormat(undefined, { ...hm, second: '2-digit' });
  const dated = new Intl.DateTimeFormat(undefined, { ...hm, day: 'numeric', month: 'short' });

  function ago(ms) {
    const s = Math.round(ms / 1000);
    const a = Math.abs(s);
    if (a < 60) return near.format(a < 10 ? s : Math.round(s / 10) * 10, 'second');
    if (a < 3600) return near.format(Math.round(s / 60), 'minute');
    if (a < 86400) return near.format(Math.round(s / 3600), 'hour');
    return near.format(Math.round(s / 86400), 'day');
  }

  function tellTimes(root) {
    const now = new Date();
    for (const t of root.querySelectorAll('time')) {
      const at = new Date(t.dateTime);
      const text = t.className === 'ago' ? ago(at - now) : day(at) === day(now) ? clock.format(at) : dated.format(at);
      if (t.textContent !== text) t.textContent = text;
      if (!t.title) t.title = full.format(at);
    }
  }

  const key = (n) => (n.nodeType === 1 && n.getAttribute('data-k')) || '';

  // morph makes old like want and keeps what stayed: focus, selection and scroll survive.
  function morph(old, want) {
    if (old.nodeType !== 1) {
      if (old.data !== want.data) old.data = want.data;
      return;
    }
    if (old.nodeName === 'TIME' && old.dateTime === want.dateTime && old.className === want.className) return;
    // Whether a list is open is the reader's.
    const theirs = (a) => a.name === 'open' && old.nodeName === 'DETAILS';
    for (const a of want.attributes) if (old.getAttribute(a.name) !== a.value) old.setAttribute(a.name, a.value);
    for (const a of [...old.attributes]) if (!want.hasAttribute(a.name) && !theirs(a)) old.removeAttribute(a.name);
    morphChildren(old, want);
  }

  function morphChildren(old, want) {
    const keyed = new Map();
    for (const c of old.children) if (key(c)) keyed.set(key(c), c);
    let at = old.firstChild;
    for (const w of [...want.childNodes]) {
      const k = key(w);
      let have = k ? keyed.get(k) : at;
      while (!k && have && key(have)) have = have.nextSibling;
      if (!have || have.nodeName !== w.nodeName) {
        if (k) w.classList.add('fresh');
        old.insertBefore(w, at);
        continue;
      }
      if (have === at) at = at.nextSibling;
      else old.insertBefore(have, at);
      morph(have, w);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  const words = (part) => [...part.querySelectorAll('[data-say]')].map((s) => s.dataset.say).join('. ');

  function take(m) {
    const part = document.getElementById(m.n);
    if (!part || part.dataset.v === m.v) return;
    const t = document.createElement('template');
    t.innerHTML = m.h;
    const said = words(part);
    morphChildren(part, t.content);
    part.dataset.v = m.v;
    tellTimes(part);
    if (words(part) !== said) say.textContent = words(part);
  }

  function show(word, shape) {
    sign.hidden = false;
    sign.className = 'live ' + shape;
    sign.querySelector('use').setAttribute('href', '#i-' + shape);
    sign.querySelector('span').textContent = word;
  }

  let stream = null;
  let timer = 0;
  let pause = 0;

  function close() {
    clearTimeout(timer);
    if (stream) stream.close();
    stream = null;
  }

  // A hidden page costs the server nothing.
  function open() {
    close();
    if (document.hidden) return;
    const have = [...document.querySelectorAll('[data-v]')].map((p) => p.id + ':' + p.dataset.v).join(',');
    stream = new EventSource(address + (address.includes('?') ? '&' : '?') + 'have=' + encodeURIComponent(have));
    stream.addEventListener('hello', (e) => {
      pause = 0;
      if (e.data !== version) location.reload(); // a newer semper draws other parts
      show('live', 'disc');
    });
    stream.addEventListener('fragment', (e) => take(JSON.parse(e.data)));
    stream.onerror = () => {
      close();
      pause = Math.min(pause * 2 || 500, 8000);
      timer = setTimeout(open, pause * (0.5 + Math.random() / 2));
      if (pause > 500) show('reconnecting', 'half');
    };
  }

  tellTimes(document);
  setInterval(() => document.hidden || tellTimes(document), 5000);
  if (address) {
    document.addEventListener('visibilitychange', open);
    addEventListener('pagehide', close);
    addEventListener('pageshow', (e) => e.persisted && open());
    open();
  }
})();
