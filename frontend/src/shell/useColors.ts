import { useComputedColorScheme, useMantineColorScheme } from "@mantine/core";

/** Dark or light: the system's setting until the user chooses. */
export function useColors(): { isDark: boolean; toggle: () => void } {
  const { setColorScheme } = useMantineColorScheme();
  const isDark = useComputedColorScheme("light", { getInitialValueInEffect: false }) === "dark";
  return { isDark, toggle: () => setColorScheme(isDark ? "light" : "dark") };
}
