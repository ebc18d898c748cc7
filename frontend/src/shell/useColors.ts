import { useComputedColorScheme, useMantineColorScheme } from "@mantine/core";

/** Dark or light: as the system is, until somebody chooses. */
export function useColors(): { isDark: boolean; toggle: () => void } {
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme("light", { getInitialValueInEffect: false }) === "dark";
  return { isDark, toggle: () => setColorScheme(isDark ? "light" : "dark") };
}
