// Sites that embed the chat, each a host of its own on one server: shop.example, blog.example, whatever a test asks for.
//
// Their content security policy is as strict as docs/channels.md says that it may be: the gateway in script-src and frame-src.

import { once } from 'node:events';
import { createServer } from 'node:http';

const escape = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

export class Sites {
  #gateway;
  #server = createServer((request, response) => this.#serve(request, response));

  async start(gateway) {
    this.#gateway = gateway;
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  origin(name) {
    return `http://${name}.example:${this.#server.address().port}`;
  }

  /** The address of a page with a tag for each of `tags`, whose keys are the tag's `data-` attributes. */
  page(name, ...tags) {
    return `${this.origin(name)}/?tags=${encodeURIComponent(JSON.stringify(tags))}`;
  }

  #serve(request, response) {
    const url = new URL(request.url, 'http://site.example');
    if (url.pathname !== '/') {
      response.writeHead(204).end();
      return;
    }
    const tags = JSON.parse(url.searchParams.get('tags') ?? '[]').map((tag) => {
      const attributes = Object.entries(tag).map(([name, value]) => ` data-${name}="${escape(value)}"`);
      return `<script src="${this.#gateway}/webchat/widget.js"${attributes.join('')}></script>`;
    });
    response.writeHead(200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; img-src 'self'; script-src ${this.#gateway}; frame-src ${this.#gateway}`,
    });
    response.end(`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>A site</title></head><body><main><h1>A site</h1><a href="#more">More</a></main>${tags.join('')}</body></html>`);
  }
}
