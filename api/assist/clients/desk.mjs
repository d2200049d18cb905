// A desk's end of WS /v1/assist/stream, in plain JavaScript for browsers and Node (docs/assist-stream.md).
// Numbers what it sends, resumes a dropped connection, and where that is no longer possible sends its open conversations again.

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

export class DeskStream {
  // `hear` is given every message of the service once, in order. `socket` makes a WebSocket for a URL.
  constructor(url, { token = null, hear = () => {}, socket = (address) => new WebSocket(address) } = {}) {
    this.url = url;
    this.token = token;
    this.hear = hear;
    this.makeSocket = socket;
    this.session = null;
    this.seq = 0;
    this.received = 0;
    this.entries = []; // what would have to be sent again, in order
    this.ready = false;
    this.over = false;
    this.wait = FIRST_WAIT;
    this.connect();
  }

  // Resolves with the turn's `flags`; rejects with the service's `error`.
  turn(conversation, role, text, fields = {}) {
    return this.send({ type: "turn", conversation, role, text, ...fields });
  }

  // Resolves with the `verdict` on what the agent is about to send.
  draft(conversation, text, fields = {}) {
    return this.send({ type: "draft", conversation, text, ...fields });
  }

  typing(conversation, role) {
    this.send({ type: "typing", conversation, role }).catch(() => {});
  }

  // Resolves with the `screening` of the whole conversation.
  end(conversation, fields = {}) {
    return this.send({ type: "end", conversation, ...fields });
  }

  close() {
    this.over = true;
    this.socket.close(1000);
  }

  send(message) {
    return new Promise((resolve, reject) => {
      const entry = { message, resolve, reject, seq: ++this.seq };
      this.entries.push(entry);
      if (this.ready) this.write(entry);
    });
  }

  write(entry) {
    this.socket.send(JSON.stringify({ ...entry.message, seq: entry.seq, received: this.received }));
  }

  connect() {
    const socket = this.makeSocket(this.url);
    this.socket = socket;
    const token = this.token === null ? {} : { token: this.token };
    socket.onopen = () => {
      const first = this.session ? { type: "resume", session: this.session, received: this.received } : { type: "hello" };
      socket.send(JSON.stringify({ ...first, ...token }));
    };
    socket.onmessage = (event) => this.take(JSON.parse(event.data));
    socket.onerror = () => {};
    socket.onclose = () => {
      this.ready = false;
      if (this.over || this.socket !== socket) return;
      setTimeout(() => this.connect(), this.wait);
      this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
    };
  }

  take(message) {
    if (message.seq !== undefined) {
      if (message.seq <= this.received) return;
      this.received = message.seq;
    }
    switch (message.type) {
      case "welcome":
        this.welcomed(message);
        break;
      case "ack":
        this.entries = this.entries.filter((entry) => entry.message.type !== "typing" || entry.seq > message.of);
        break;
      case "closing":
        this.closing(message);
        break;
      case "error":
        this.answered(message, (entry) => entry.reject(message));
        break;
      case "flags":
        this.entries.find((entry) => entry.seq === message.of)?.resolve(message); // kept: it may have to be sent again
        break;
      case "verdict":
        this.answered(message, (entry) => entry.resolve(message));
        break;
      case "screening":
        this.answered(message, (entry) => entry.resolve(message));
        this.entries = this.entries.filter((entry) => entry.message.conversation !== message.conversation || entry.seq > message.of);
        break;
    }
    this.hear(message);
  }

  welcomed(message) {
    this.wait = FIRST_WAIT;
    if (!message.resumed) {
      // all that is still open, as a new session counts it
      this.received = 0;
      this.entries = this.entries.filter((entry) => entry.message.type !== "typing");
      this.seq = 0;
      for (const entry of this.entries) entry.seq = ++this.seq;
    }
    this.session = message.session;
    this.ready = true;
    for (const entry of this.entries) if (entry.seq > message.received) this.write(entry);
  }

  closing(message) {
    if (message.resume) return;
    this.session = null;
    if (["unauthenticated", "forbidden", "cross_origin", "token_in_url", "taken_over", "invalid"].includes(message.code)) {
      this.over = true;
      for (const entry of this.entries) entry.reject(message);
    }
  }

  answered(message, tell) {
    const entry = this.entries.find((one) => one.seq === message.of);
    if (!entry) return;
    this.entries = this.entries.filter((one) => one !== entry);
    tell(entry);
  }
}
