import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { readCompareSearch } from "./compare/search";
import { BrokenPage, NoSuchPage, Shell } from "./shell/Shell";
import { type ActionTab, printSpan, readSpan, readTab } from "./actions/address";
import { flag, onlyKnown, parseQuery, printQuery, text, texts } from "./live/search";
import { readLogSearch } from "./logs/address";
import { readNowSearch } from "./now/nowSearch";
import { readRunSearch } from "./runs/runSearch";
import { type OtherView, readView } from "./runs/views";
import { readTaskPageSearch } from "./tasks/taskPageSearch";
import { readTableSearch, type TableSearch } from "./tables/address";
import { readTaskSearch } from "./tasks/taskSearch";

const root = createRootRoute({
  component: Shell,
  notFoundComponent: NoSuchPage,
  errorComponent: ({ error }) => <BrokenPage error={error as Error} />,
});

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: () => {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- this is how the router redirects
    throw redirect({ to: "/runs", replace: true });
  },
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: onlyKnown(readRunSearch),
  component: lazyRouteComponent(() => import("./runs/RunsPage"), "RunsPage"),
});

/** The search parameters of a run's page. */
export interface RunPageSearch extends TableSearch {
  view?: OtherView | undefined;
  q?: string | undefined;
  phase?: string[] | undefined;
  /** The action shown beside the tree. */
  action?: string | undefined;
  /** The tab of its panel, if not the first. */
  tab?: ActionTab | undefined;
  /** Whether the critical path is marked. */
  critical?: true | undefined;
  /** The visible part of the timeline: see `readSpan`. */
  zoom?: string | undefined;
}

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$project/$domain/$name",
  validateSearch: onlyKnown<RunPageSearch>((query) => ({
    view: readView(query.view),
    ...readTableSearch(query),
    q: text(query.q),
    phase: texts(query.phase),
    action: text(query.action),
    tab: readTab(query.tab),
    critical: flag(query.critical),
    zoom: printSpan(readSpan(query.zoom)),
  })),
  component: lazyRouteComponent(() => import("./runs/RunPage"), "RunPage"),
});

const logs = createRoute({
  getParentRoute: () => root,
  path: "/runs/$project/$domain/$name/logs",
  validateSearch: onlyKnown(readLogSearch),
  component: lazyRouteComponent(() => import("./logs/LogPage"), "LogPage"),
});

const tasks = createRoute({
  getParentRoute: () => root,
  path: "/tasks",
  validateSearch: onlyKnown(readTaskSearch),
  component: lazyRouteComponent(() => import("./tasks/TasksPage"), "TasksPage"),
});

const taskPage = lazyRouteComponent(() => import("./tasks/TaskPage"), "TaskPage");

const task = createRoute({
  getParentRoute: () => root,
  path: "/tasks/$project/$domain/$task",
  validateSearch: onlyKnown(readTaskPageSearch),
  component: taskPage,
});

/** The runs of a project and domain that name neither a task nor a function. */
const noTask = createRoute({
  getParentRoute: () => root,
  path: "/tasks/$project/$domain",
  validateSearch: onlyKnown(readTaskPageSearch),
  component: taskPage,
});

const now = createRoute({
  getParentRoute: () => root,
  path: "/now",
  validateSearch: onlyKnown(readNowSearch),
  component: lazyRouteComponent(() => import("./now/NowPage"), "NowPage"),
});

const aborts = createRoute({
  getParentRoute: () => root,
  path: "/aborts",
  component: lazyRouteComponent(() => import("./aborts/AbortsPage"), "AbortsPage"),
});

const compare = createRoute({
  getParentRoute: () => root,
  path: "/compare",
  validateSearch: onlyKnown(readCompareSearch),
  component: lazyRouteComponent(() => import("./compare/ComparePage"), "ComparePage"),
});

const routeTree = root.addChildren([home, runs, run, logs, now, tasks, task, noTask, aborts, compare]);

/** The router, for any base URL. */
export function createPageRouter(base: string) {
  return createRouter({
    routeTree,
    basepath: new URL(base).pathname,
    parseSearch: parseQuery,
    stringifySearch: printQuery,
    trailingSlash: "never",
    scrollRestoration: false,
    // The code of a page is loaded when the pointer or the focus is on a link to it.
    defaultPreload: "intent",
  });
}

export type Router = ReturnType<typeof createPageRouter>;

declare module "@tanstack/react-router" {
  interface Register {
    router: Router;
  }
}
