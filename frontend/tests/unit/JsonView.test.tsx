// @vitest-environment happy-dom
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, describe, expect, test, vi } from "vitest";
import { JsonView } from "../../src/ui/JsonView";

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const DOCUMENT = {
  model: { name: "Bert", layers: { first: { width: 768 } } },
  epochs: 3,
  tags: ["a", "b"],
  nothing: null,
  empty: {},
  ready: true,
};

const body = (): HTMLElement => screen.getByRole("region", { name: "inputs" });
const text = (): string => body().textContent;
const search = (term: string): void => {
  fireEvent.change(screen.getByRole("searchbox"), { target: { value: term } });
};
const press = (name: RegExp | string): void => {
  fireEvent.click(screen.getByRole("button", { name }));
};
const marked = (): NodeListOf<Element> => body().querySelectorAll("[class*=hit]");
const folds = (): (string | null)[] =>
  within(body())
    .getAllByRole("button")
    .map((button) => button.getAttribute("aria-expanded"));

describe("expanding and collapsing", () => {
  test("two levels are expanded initially", () => {
    render(<JsonView value={DOCUMENT} name="inputs" />);
    expect(text()).toContain("name: Bert");
    expect(text()).toContain("layers: { 1 … }");
    expect(text()).not.toContain("first");
    expect(text()).toContain("nothing: null");
    expect(text()).toContain("ready: true");
  });

  test("a collapsed value expands and collapses again", () => {
    render(<JsonView value={DOCUMENT} name="inputs" />);
    press(/^layers/);
    expect(text()).toContain("first: { 1 … }");
    press(/^layers/);
    expect(text()).not.toContain("first");
    press(/^model/);
    expect(text()).not.toContain("Bert");
    expect(folds()).toContain("false");
  });

  test("an empty value cannot be expanded", () => {
    render(<JsonView value={DOCUMENT} name="inputs" />);
    const button = screen.getByRole("button", { name: /^empty/ });
    expect(button.textContent).toBe("empty: {}");
    expect((button as HTMLButtonElement).disabled).toBe(true);
  });

  test.each([
    ["just text", "just text"],
    [7, "7"],
    [null, "null"],
    [[], "[]"],
  ])("a document that is %j alone is shown", (value, shown) => {
    render(<JsonView value={value} name="inputs" />);
    expect(text()).toBe(shown);
  });
});

describe("search", () => {
  test("it expands the ancestors of matches at any depth and counts the matches", () => {
    render(<JsonView value={DOCUMENT} name="inputs" />);
    search("768");
    expect(text()).toContain("width: 768");
    expect(screen.getByText("1 found")).toBeTruthy();
    expect([...marked()].map((line) => line.textContent)).toEqual(["width: 768"]);
    search(" ");
    expect(marked()).toHaveLength(0);
    expect(text()).not.toContain("768");
    expect(screen.queryByText(/found/)).toBeNull();
  });

  test("other values stay as they were", () => {
    render(<JsonView value={DOCUMENT} name="inputs" />);
    press(/^tags/);
    search("768");
    expect(text()).toContain("tags: [ 2 … ]");
  });

  test("a match beyond the rendered entries is rendered too", () => {
    const many = Array.from({ length: 1_000 }, (_, at) => ({ step: `s${at}` }));
    render(<JsonView value={{ many }} name="inputs" />);
    search("s777");
    expect(text()).toContain("step: s777");
    expect(text()).not.toContain("778");
    expect(screen.getByRole("button", { name: "… 799 more" })).toBeTruthy();
  });
});

describe("large documents", () => {
  test("of more than two hundred entries, the rest is rendered on demand", () => {
    render(<JsonView value={Array.from({ length: 450 }, (_, at) => `item-${at}`)} name="inputs" />);
    expect(text()).toContain("item-199");
    expect(text()).not.toContain("item-200");
    press("… 250 more");
    expect(text()).toContain("item-399");
    expect(text()).not.toContain("item-400");
    press("… 50 more");
    expect(text()).toContain("item-449");
    expect(screen.queryByRole("button", { name: /more/ })).toBeNull();
  });

  test("all of two hundred entries are rendered", () => {
    render(<JsonView value={Array.from({ length: 200 }, (_, at) => `item-${at}`)} name="inputs" />);
    expect(text()).toContain("item-199");
    expect(screen.queryByRole("button", { name: /more/ })).toBeNull();
  });

  test("the number of rendered matches is limited", () => {
    const value = Array.from({ length: 1_000 }, (_, at) => `item-${at}`);
    render(<JsonView value={value} name="inputs" />);
    search("item");
    expect(marked()).toHaveLength(400);
    expect(screen.getByText("1000 found")).toBeTruthy();
    expect(screen.getByRole("button", { name: "… 600 more" })).toBeTruthy();
  });
});

describe("the document as text", () => {
  test("it can be shown raw, without search, and back", () => {
    render(<JsonView value={DOCUMENT} name="inputs" />);
    press("Raw");
    expect(text()).toBe(JSON.stringify(DOCUMENT, null, 2));
    expect(screen.getByRole("button", { name: "Raw" }).getAttribute("aria-pressed")).toBe("true");
    expect(screen.getByRole<HTMLInputElement>("searchbox").disabled).toBe(true);
    press("Raw");
    expect(text()).toContain("name: Bert");
  });

  test("the download has a valid file name", async () => {
    let file: Blob | undefined;
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
      file = blob as Blob;
      return "blob:test";
    });
    const revoked = vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
    let download = "";
    let href = "";
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
      ({ download, href } = this);
    });
    render(<JsonView value={DOCUMENT} name="inputs of a/b: c" />);
    press("Download");
    expect(href).toBe("blob:test");
    expect(download).toBe("inputs-of-a-b-c.json");
    expect(await file?.text()).toBe(JSON.stringify(DOCUMENT, null, 2));
    expect(revoked).toHaveBeenCalledWith("blob:test");
  });

  test("it is copied in full, even if collapsed", async () => {
    const written = vi.fn(() => Promise.resolve());
    vi.stubGlobal("navigator", { clipboard: { writeText: written } });
    render(<JsonView value={DOCUMENT} name="inputs" />);
    press("Copy inputs");
    expect(written).toHaveBeenCalledWith(JSON.stringify(DOCUMENT, null, 2));
    await waitFor(() => expect(screen.getByLabelText("Copy inputs").dataset.state).toBe("copied"));
  });
});
