import { type CSSVariablesResolver, MantineProvider, createTheme } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { Provider as UrqlProvider } from "urql";
import { type Api, ApiContext } from "./live/api";
import type { Router } from "./router";
import { styleNonce } from "./ui/nonce";

const theme = createTheme({
  primaryColor: "indigo",
  // Dark enough for white text.
  primaryShade: { light: 7, dark: 8 },
  defaultRadius: "sm",
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontSizes: { xs: "12px", sm: "13px", md: "14px" },
  components: {
    Button: { styles: { label: { fontWeight: 500 } } },
    Popover: { defaultProps: { shadow: "md" } },
    Menu: { defaultProps: { shadow: "md" } },
    Modal: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
  },
});

/**
 * Maps Mantine's colours to those of theme.css: its greys lack contrast, and its shades ignore the
 * background. Colours are used without a shade everywhere (enforced by the linter), so light and dark are
 * chosen here.
 */
const COLORS: Record<string, string> = {
  text: "var(--text)",
  dimmed: "var(--faint)",
  placeholder: "var(--faint)",
  error: "var(--bad)",
  disabled: "var(--sunken)",
  // In dark: the background of a segmented control, and its selected part.
  "dark-8": "var(--sunken)",
  "dark-5": "var(--track)",
  "disabled-color": "var(--faint)",
  "indigo-light": "var(--accent-faint)",
  "indigo-light-hover": "var(--selected)",
  "indigo-light-color": "var(--accent)",
  // The text colour of a red menu item.
  "red-6": "var(--bad)",
  "red-filled": "var(--bad-filled)",
  "red-filled-hover": "var(--bad-filled-hover)",
  "red-light": "var(--bad-faint)",
  "red-light-hover": "var(--bad-hover)",
  "red-light-color": "var(--bad)",
  "gray-light-color": "var(--faint)",
  "gray-light-hover": "var(--hover)",
};
const named = Object.fromEntries(
  Object.entries(COLORS).map(([name, value]) => [`--mantine-color-${name}`, value]),
);
const resolver: CSSVariablesResolver = () => ({ variables: {}, light: named, dark: named });

/** The application with its providers. */
export function App({ api, router }: { api: Api; router: Router }) {
  return (
    <MantineProvider
      theme={theme}
      cssVariablesResolver={resolver}
      defaultColorScheme="auto"
      getStyleNonce={styleNonce}
    >
      <ApiContext value={api}>
        <UrqlProvider value={api.client}>
          <RouterProvider router={router} />
        </UrqlProvider>
      </ApiContext>
    </MantineProvider>
  );
}
