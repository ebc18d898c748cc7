import { useEffect } from "react";
import { useApi } from "./api";

/** Try again what failed as soon as the server is back; `failed` is what stands in the way, if anything. */
export function useWhenBack(failed: unknown, retry: () => void): void {
  const { socket } = useApi();
  useEffect(() => {
    if (!failed) return;
    return socket.connection.listen(() => {
      if (socket.connection.get().state === "live") retry();
    });
  }, [socket, failed, retry]);
}
