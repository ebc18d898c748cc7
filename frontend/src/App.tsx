import { type CSSVariablesResolver, MantineProvider, createTheme } from "@mantine/core";
import { RouterProvider } from "@tanstack/react-router";
import { Provider as UrqlProvider } from "urql";
import { type Api, ApiContext } from "./live/api";
import type { Router } from "./router";
import { styleNonce } from "./ui/nonce";

/** A click beside one closes it, and does nothing to what lies there. */
const POPOVER = {
  shadow: "md",
  withOverlay: true,
  overlayProps: { backgroundOpacity: 0 },
  // Nothing is in the way of the next click.
  transitionProps: { duration: 100, exitDuration: 1 },
};

const theme = createTheme({
  primaryColor: "indigo",
  // Dark enough to read white on it.
  primaryShade: { light: 7, dark: 8 },
  defaultRadius: "sm",
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontSizes: { xs: "12px", sm: "13px", md: "14px" },
  components: {
    Button: { styles: { label: { fontWeight: 500 } } },
    Popover: { defaultProps: POPOVER },
    Menu: { defaultProps: POPOVER },
    Modal: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
  },
});

/** The kit's own greys are too pale to be read. */
const greys = { "--mantine-color-dimmed": "var(--faint)", "--mantine-color-placeholder": "var(--faint)" };
const resolver: CSSVariablesResolver = () => ({ variables: {}, light: greys, dark: greys });

/** The page with everything it stands on. */
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
