/** A websocket that index.html opens before this code is loaded, and on which it sends `connection_init`. */
interface EarlySocket extends WebSocket {
  /** What the server sent so far: its answer to `connection_init`. */
  firstMessage?: string;
}

declare global {
  interface Window {
    /** Present until it is used. */
    earlySocket?: EarlySocket | undefined;
  }
}

/**
 * A constructor of websockets for graphql-ws. The first connection is the early one, if that is still open: the
 * handshakes are then over when the code is there.
 */
export const FirstSocket = Object.assign(
  function (url: string, protocol: string): WebSocket {
    const early = window.earlySocket;
    window.earlySocket = undefined;
    if (early?.readyState === WebSocket.OPEN && early.url === url) return greeted(early);
    if (early?.readyState === WebSocket.CONNECTING && early.url === url) return early;
    return new WebSocket(url, protocol);
  },
  { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 },
);

/** Lets graphql-ws see the open websocket open: its `connection_init` is not sent twice, and is answered. */
function greeted(socket: EarlySocket): WebSocket {
  const { firstMessage } = socket;
  socket.send = () => {
    Reflect.deleteProperty(socket, "send");
    if (firstMessage === undefined) return;
    queueMicrotask(() => {
      socket.onmessage?.(new MessageEvent("message", { data: firstMessage }));
    });
  };
  // After graphql-ws has set its handlers.
  queueMicrotask(() => {
    socket.onopen?.(new Event("open"));
  });
  return socket;
}
