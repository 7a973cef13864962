/*
 * Puts a round chat button on any page; it opens the gateway's web chat in a frame.
 *
 *   <script src="https://gateway.example/webchat/widget.js" data-channel="<channel id>"
 *           data-title="Support" data-color="#4f46e5" data-theme="auto" data-position="right"></script>
 *
 * Only data-channel is needed. data-theme (auto, light, dark) and data-color go before what the channel says. A color of another form than
 * #rrggbb is the button's only. Include it once per channel; a second tag for the same channel does nothing.
 * Everything lives in a shadow root, so neither page's styles reach the other, and no global is set. Many browsers give the frame of another
 * site no storage, so this page's localStorage keeps who the visitor is, for the chat to know them again: `ii-claw.webchat/<channel id>/visitor`.
 */
(() => {
  'use strict';
  const script = document.currentScript;
  const channel = script && script.dataset.channel;
  if (!channel) {
    console.error('webchat/widget.js: needs a classic <script> tag with data-channel');
    return;
  }
  if ([...document.scripts].some((s) => s.dataset.iiClawTaken === channel)) return; // the first tag of a channel counts
  script.dataset.iiClawTaken = channel;
  const origin = new URL(script.src).origin;
  const title = script.dataset.title || 'Chat';
  const color = script.dataset.color;
  const theme = ['auto', 'light', 'dark'].includes(script.dataset.theme) ? script.dataset.theme : '';
  const accent = /^#[0-9a-f]{6}$/i.test(color || '') ? color.slice(1) : '';
  const side = script.dataset.position === 'left' ? 'left' : 'right';
  const OPENED = 'ii-claw:opened';
  // Browsers tell a page nothing of what another site's frame shows: the chat says that it is there, or it is not.
  const AFTER_LOAD_MS = 1000;
  const WITHOUT_LOAD_MS = 20000;

  const CSS = `
    :host { all: initial; --color: #4f46e5; }
    .launch { all: initial; position: fixed; bottom: 20px; ${side}: calc(20px + var(--slot) * 68px); z-index: 2147483000; box-sizing: border-box;
      width: 56px; height: 56px; border-radius: 50%; background: var(--color); color: #fff; display: grid; place-items: center;
      cursor: pointer; box-shadow: 0 4px 16px rgb(0 0 0 / .28); }
    .launch:hover { filter: brightness(1.08); }
    .launch:focus-visible { outline: 3px solid var(--color); outline-offset: 3px; }
    svg { fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
    .launch[aria-expanded="true"] .chat, .launch[aria-expanded="false"] .down { display: none; }
    [hidden] { display: none !important; }
    .dot { position: absolute; top: 0; right: 0; width: 14px; height: 14px; border-radius: 50%; background: #d92d20; border: 2px solid #fff; }
    section { display: flex; flex-direction: column; position: fixed; bottom: 88px; ${side}: 20px; z-index: 2147483001; width: 384px; max-width: calc(100vw - 40px);
      height: 620px; max-height: calc(100vh - 108px); border-radius: 16px; overflow: hidden; background: Canvas;
      color-scheme: ${theme === "light" || theme === "dark" ? theme : "light dark"}; box-shadow: 0 12px 48px rgb(0 0 0 / .3); }
    iframe { display: block; width: 100%; flex: 1; min-height: 0; border: 0; }
    .note { padding: 12px 16px; font: 15px/1.4 system-ui, sans-serif; color: CanvasText; }
    .note button { margin: 8px 8px 0 0; padding: 4px 12px; font: inherit; }
    @media (max-width: 480px), (max-height: 420px) {
      section { inset: 0; width: auto; height: auto; max-width: none; max-height: none; border-radius: 0; }
    }`;

  function start() {
    const hosts = [...document.querySelectorAll('[data-ii-claw-channel]')];
    if (hosts.some((h) => h.dataset.iiClawChannel === channel)) return;
    const host = document.createElement('div');
    host.dataset.iiClawChannel = channel;
    host.dataset.iiClawSide = side;
    const root = host.attachShadow({ mode: 'open' });
    try {
      // Allowed even where the page's own policy forbids inline styles.
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(CSS);
      root.adoptedStyleSheets = [sheet];
    } catch {
      root.append(Object.assign(document.createElement('style'), { textContent: CSS }));
    }
    const make = (tag, attributes, ...children) => {
      const node = document.createElementNS(`http://www.w3.org/${/svg|path/.test(tag) ? '2000/svg' : '1999/xhtml'}`, tag);
      for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
      node.append(...children);
      return node;
    };
    const icon = (name, d) => make('svg', { class: name, width: 26, height: 26, viewBox: '0 0 24 24', 'aria-hidden': true }, make('path', { d }));
    const panel = make('section', { id: 'panel', role: 'dialog', hidden: '' });
    const dot = make('span', { class: 'dot', hidden: '' });
    const retry = make('button', { type: 'button' }, 'Try again');
    const leave = make('button', { type: 'button' }, 'Close');
    const note = make('div', { class: 'note', role: 'alert', hidden: '' },
      'The chat did not open. Either it can’t be reached just now, or it may not be shown on this site.', make('div', {}, retry, leave));
    panel.append(note);
    const button = make('button', { type: 'button', class: 'launch', 'aria-expanded': false, 'aria-controls': 'panel' },
      icon('chat', 'M20 11.5a7.5 7.5 0 0 1-11 6.6L4 20l1.9-4.6A7.5 7.5 0 1 1 20 11.5z'), icon('down', 'M6 9l6 6 6-6'), dot);
    root.append(panel, button);
    panel.setAttribute('aria-label', title);
    host.style.setProperty('--slot', hosts.filter((h) => h.dataset.iiClawSide === side).length);
    if (color && window.CSS.supports('color', color)) host.style.setProperty('--color', color);

    let frame = null;
    let opened = false; // by the chat's own word
    let timer = 0;
    function judgeIn(ms) {
      clearTimeout(timer);
      timer = setTimeout(() => {
        note.hidden = false;
        console.error(`webchat/widget.js: the chat did not open. If this site is not one of those that it may be shown on, add ${location.origin} to the channel's allowed_origins.`);
      }, ms);
    }
    // Behind the #, so no server is told.
    function visitor() {
      const name = `ii-claw.webchat/${encodeURIComponent(channel)}/visitor`;
      try {
        const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
        const known = localStorage.getItem(name);
        const id = /^[0-9a-f]{32}$/.test(known || '') ? known : fresh();
        localStorage.setItem(name, id);
        return `#visitor=${id}`;
      } catch {
        return ''; // forbidden here, too: the visitor is new with each page
      }
    }
    // Each time in a new frame: the old one's address is the same but for what is behind the #, so it would stay with the page that it has.
    function load() {
      note.hidden = true;
      opened = false;
      judgeIn(WITHOUT_LOAD_MS);
      frame?.remove();
      frame = make('iframe', { title, allow: 'clipboard-write' });
      frame.addEventListener('load', () => { if (!opened) judgeIn(AFTER_LOAD_MS); });
      frame.src = `${origin}/webchat/${encodeURIComponent(channel)}?embed=1${theme && `&theme=${theme}`}${accent && `&accent=${accent}`}${visitor()}`;
      panel.append(frame);
    }
    const isOpen = () => !panel.hidden;
    const label = () => button.setAttribute('aria-label', `${isOpen() ? 'Close' : 'Open'} ${title}${dot.hidden ? '' : ', new message'}`);
    function toggle(open) {
      if (open === isOpen()) return;
      panel.hidden = !open;
      button.setAttribute('aria-expanded', String(open));
      if (open) {
        dot.hidden = true;
        document.dispatchEvent(new CustomEvent(OPENED, { detail: host })); // the others close
        if (!frame || !note.hidden) load();
        frame.focus();
      }
      label();
    }
    function closeToButton() {
      toggle(false);
      button.focus();
    }
    button.addEventListener('click', () => toggle(!isOpen()));
    retry.addEventListener('click', load);
    leave.addEventListener('click', closeToButton);
    document.addEventListener(OPENED, (event) => event.detail !== host && toggle(false));
    document.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && !event.defaultPrevented && isOpen()) closeToButton();
    });
    window.addEventListener('message', (event) => {
      if (!frame || event.source !== frame.contentWindow || event.origin !== origin) return;
      const type = event.data && event.data.type;
      if (type === 'ii-claw:open') {
        opened = true;
        note.hidden = true;
        clearTimeout(timer);
      }
      if (type === 'ii-claw:close' && isOpen()) closeToButton();
      if (type === 'ii-claw:message' && !isOpen()) dot.hidden = false;
      label();
    });
    label();
    document.body.append(host);
  }

  if (document.body) start();
  else document.addEventListener('DOMContentLoaded', start, { once: true });
})();
