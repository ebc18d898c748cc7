import { type AddressInfo, type Socket, connect, createServer } from "node:net";

/** Slow 4G as Lighthouse has it: the time of a round trip in milliseconds, and the bytes per second down. */
export const SLOW_4G = { roundTrip: 150, bytesPerSecond: 1_600_000 / 8 };

/**
 * A proxy of TCP before a server on this machine, as a slow network: connections share its bandwidth, and websockets are slow
 * too, which emulation by the browser leaves out.
 */
export async function slowNetwork(port: number, { roundTrip, bytesPerSecond } = SLOW_4G) {
  /** When the line is free again, in milliseconds. */
  let free = 0;
  const open = new Set<Socket>();
  const later = (ms: number, run: () => void): void => void setTimeout(run, ms);
  const proxy = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    for (const socket of [client, server]) {
      socket.setNoDelay();
      open.add(socket);
      socket.on("close", () => open.delete(socket));
      socket.on("error", () => socket.destroy());
    }
    // The handshake takes a round trip before the first bytes.
    const since = performance.now();
    client.on("data", (bytes: Buffer) => {
      const handshake = Math.max(0, since + roundTrip - performance.now());
      later(handshake + roundTrip / 2, () => {
        if (server.writable) server.write(bytes);
      });
    });
    server.on("data", (bytes: Buffer) => {
      // As large as packets of the network nearly: connections take turns.
      for (let at = 0; at < bytes.length; at += 4_096) {
        const part = bytes.subarray(at, at + 4_096);
        const now = performance.now();
        free = Math.max(free, now) + (part.length / bytesPerSecond) * 1_000;
        later(free - now + roundTrip / 2, () => {
          if (client.writable) client.write(part);
        });
      }
    });
    client.on("end", () => later(roundTrip, () => server.end()));
    server.on("end", () => later(Math.max(0, free - performance.now()) + roundTrip, () => client.end()));
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    close: (): void => {
      for (const socket of open) socket.destroy();
      proxy.close();
    },
  };
}
