// Faults the tests order beforehand: answers that replace the real one, and connections that break.

export class Faults {
  constructor() {
    this.orders = [];
  }

  fail({ method, times, status, body, headers }) {
    this.orders.push({ method: method.toLowerCase(), left: times, answer: { status, body, headers } });
  }

  drop({ method, times }) {
    this.orders.push({ method: method.toLowerCase(), left: times, answer: null });
  }

  /** The order for this call, used up by one: {answer} (null: break the connection), or null when there is none. */
  take(method) {
    const order = this.orders.find((one) => one.left > 0 && one.method === method.toLowerCase());
    if (!order) return null;
    order.left -= 1;
    return { answer: order.answer };
  }
}
