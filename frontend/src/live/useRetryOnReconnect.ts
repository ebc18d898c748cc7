import { useEffect } from "react";
import { useApi } from "./api";

/** Retries as soon as the server is reachable again; `failed` is the current error, if any. */
export function useRetryOnReconnect(failed: unknown, retry: () => void): void {
  const { socket } = useApi();
  useEffect(() => {
    if (!failed) return;
    return socket.connection.listen(() => {
      if (socket.connection.get().state === "live") retry();
    });
  }, [socket, failed, retry]);
}
