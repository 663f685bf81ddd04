// The bars at the top and at the side, in each language: by the tasks that a person has.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DefaultTheme, LocaleSpecificConfig } from "vitepress";

type Language = LocaleSpecificConfig<DefaultTheme.Config>;
type Item = DefaultTheme.SidebarItem;

/** A part of the side bar: the titles of its pages by their addresses. */
function section(text: string, pages: Record<string, string>, collapsed?: boolean): Item {
  const items = Object.entries(pages).map(([link, text]) => ({ text, link }));
  return { text, items, ...(collapsed === undefined ? {} : { collapsed }) };
}

/** What the generators of pages have written beside them: parts of the side bar. */
function written(file: string): Item[] {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  if (!existsSync(path)) throw new Error(`No docs/${file}: deno task docs writes it`);
  return JSON.parse(readFileSync(path, "utf8"));
}

const START = section("Start", {
  "/start": "A network in a minute",
  "/gallery": "Gallery of labs",
  "/examples": "Example scripts",
  "/guides/rootless": "Without root",
  "/guides/permissions": "Permissions",
  "/guides/other-systems": "On macOS and Windows",
  "/guides/errors": "Errors explained",
});

const LABS = section("Labs", {
  "/guides/labs": "Labs",
  "/guides/lab-format": "The format of labs",
  "/guides/pictures": "Pictures",
  "/command-line": "The command netloom",
});

const TEST = section("Test", {
  "/guides/labs-in-tests": "Labs in tests",
  "/guides/testing": "Testing with Deno.test",
  "/guides/ci": "GitHub Actions and other CI",
  "/guides/clean-up": "Cleaning up after a crash",
});

const TRAFFIC = section("Traffic", {
  "/guides/impairments": "Delay, loss and rate",
  "/guides/intercepting": "Intercepting frames",
  "/guides/traffic-control": "Traffic control",
  "/guides/firewall": "Firewall and NAT",
  "/guides/policy-routing": "Policy routing",
  "/guides/vrf": "VRF",
  "/guides/bond": "Bond",
});

const CAPTURE = section("Capture", {
  "/guides/capture": "Capturing packets",
});

const DEVICES = section("Devices", {
  "/concepts/namespaces": "Namespaces",
  "/concepts/veth": "veth",
  "/concepts/bridge": "Bridge",
  "/concepts/macvlan": "macvlan",
  "/concepts/ipvlan": "ipvlan",
  "/concepts/macvtap-ipvtap": "macvtap and ipvtap",
  "/concepts/tun-tap": "TUN and TAP",
  "/guides/tun-program": "Writing a TUN program",
  "/guides/collections": "Addresses, routes, entries",
});

const COMING_FROM = section("Coming from", {
  "/migrate/ip": "ip",
  "/migrate/brctl": "brctl",
  "/migrate/bridge": "bridge",
  "/migrate/tc": "tc",
  "/migrate/nft": "nft",
  "/migrate/containerlab": "containerlab",
  "/migrate/mininet": "Mininet",
  "/migrate/pyroute2": "pyroute2",
  "/migrate/vishvananda-netlink": "vishvananda/netlink",
}, true);

const REFERENCE = section("Reference", {
  "/reference": "API",
  "/guides/performance": "Fast scripts",
  "/performance": "Figures",
});

const CONTRIBUTORS = section("For contributors", {
  "/architecture": "Architecture",
  "/contributors/kernels": "Tested kernels",
}, true);

export const english: Language = {
  description: "Linux virtual networking from TypeScript",
  themeConfig: {
    nav: [
      { text: "Start", link: "/start" },
      { text: "Labs", link: "/guides/labs" },
      { text: "Gallery", link: "/gallery" },
      { text: "Command", link: "/command-line", activeMatch: "^/command" },
      { text: "API", link: "/reference", activeMatch: "^/(api|reference)" },
    ],
    sidebar: {
      "/": [
        START,
        LABS,
        TEST,
        TRAFFIC,
        CAPTURE,
        DEVICES,
        COMING_FROM,
        REFERENCE,
        CONTRIBUTORS,
      ],
      "/commands/": [
        section("The command", { "/command-line": "Overview" }),
        ...written("commands/sidebar.json"),
      ],
      "/api/": [
        section("API", { "/reference": "Overview", "/api/all_symbols": "All symbols" }),
        { text: "Entry points", items: written("api/sidebar.json") },
      ],
    },
  },
};

const CHINESE: Record<string, string> = {
  namespaces: "網路命名空間",
  veth: "veth",
  bridge: "Bridge",
  macvlan: "macvlan",
  ipvlan: "ipvlan",
  "macvtap-ipvtap": "macvtap 與 ipvtap",
  "tun-tap": "TUN 與 TAP",
};

/** A part of the English bar, with the same pages below /zh-TW/. */
function untranslated(text: string, { items }: Item): Item {
  return {
    text,
    collapsed: true,
    items: items!.map((item) => ({ ...item, link: `/zh-TW${item.link}` })),
  };
}

export const traditionalChinese: Language = {
  description: "用 TypeScript 操作 Linux 虛擬網路",
  themeConfig: {
    nav: [
      { text: "開始", link: "/zh-TW/start" },
      {
        text: "裝置",
        link: "/zh-TW/concepts/namespaces",
        activeMatch: "^/zh-TW/concepts/",
      },
      { text: "Labs（英文）", link: "/zh-TW/guides/labs" },
      { text: "API（英文）", link: "/reference" },
    ],
    sidebar: [
      section("開始", { "/zh-TW/start": "一分鐘內建好網路" }),
      section(
        "裝置",
        Object.fromEntries(
          Object.entries(CHINESE).map(([page, title]) => [`/zh-TW/concepts/${page}`, title]),
        ),
      ),
      untranslated("Labs（英文）", LABS),
      untranslated("測試（英文）", TEST),
      untranslated("流量（英文）", TRAFFIC),
      untranslated("擷取（英文）", CAPTURE),
    ],
    outline: { level: [2, 3], label: "本頁內容" },
    docFooter: { prev: "上一頁", next: "下一頁" },
    darkModeSwitchLabel: "外觀",
    lightModeSwitchTitle: "切換為淺色",
    darkModeSwitchTitle: "切換為深色",
    sidebarMenuLabel: "選單",
    returnToTopLabel: "回到頂端",
    langMenuLabel: "切換語言",
    skipToContentLabel: "跳到內容",
  },
};
