// The bars at the top and at the side, in each language.
import type { DefaultTheme, LocaleSpecificConfig } from "vitepress";

type Language = LocaleSpecificConfig<DefaultTheme.Config>;
type Item = DefaultTheme.SidebarItem;

/** A part of the side bar: its pages by the last part of their address. */
function section(text: string, base: string, pages: Record<string, string>): Item {
  const items = Object.entries(pages).map(([link, text]) => ({ text, link }));
  return { text, base, items };
}

/** Pages there are in every language. */
const CONCEPTS = ["namespaces", "tun-tap", "veth", "bridge", "macvlan", "ipvlan", "macvtap-ipvtap"];

function concepts(text: string, base: string, titles: string[]): Item {
  return section(text, base, Object.fromEntries(CONCEPTS.map((page, n) => [page, titles[n]!])));
}

export const english: Language = {
  description: "Linux virtual networking from TypeScript",
  themeConfig: {
    nav: [
      { text: "Devices", link: "/concepts/namespaces", activeMatch: "^/concepts/" },
      { text: "Guides", link: "/guides/rootless", activeMatch: "^/guides/" },
      { text: "Coming from", link: "/migrate/ip", activeMatch: "^/migrate/" },
      { text: "API", link: "/reference" },
    ],
    sidebar: [
      { text: "Start", items: [{ text: "A bridge in a minute", link: "/start" }] },
      concepts("Devices", "/concepts/", [
        "Namespaces",
        "TUN and TAP",
        "veth",
        "Bridge",
        "macvlan",
        "ipvlan",
        "macvtap and ipvtap",
      ]),
      section("Guides", "/guides/", {
        labs: "Labs",
        "labs-in-tests": "Labs in tests",
        "lab-format": "The format of labs",
        collections: "Addresses, routes, entries",
        "policy-routing": "Policy routing",
        firewall: "Firewall and NAT",
        rootless: "Without root",
        testing: "Testing with Deno.test",
        ci: "In CI",
        "other-systems": "On macOS and Windows",
        permissions: "Permissions",
        "clean-up": "Cleaning up after a crash",
        performance: "Performance",
        "tun-program": "Writing a TUN program",
        capture: "Capturing packets",
        intercepting: "Intercepting frames",
        "traffic-control": "Traffic control",
        impairments: "Impairments",
        pictures: "Pictures",
        errors: "Errors explained",
      }),
      section("Coming from", "/migrate/", {
        ip: "ip",
        brctl: "brctl",
        bridge: "bridge",
        tc: "tc",
        nft: "nft",
        containerlab: "containerlab",
        mininet: "Mininet",
        pyroute2: "pyroute2",
        "vishvananda-netlink": "vishvananda/netlink",
      }),
      section("Reference", "/", {
        reference: "API",
        "command-line": "The command netloom",
        performance: "Figures",
        architecture: "Architecture",
        kernels: "Tested kernels",
      }),
    ],
  },
};

export const traditionalChinese: Language = {
  description: "用 TypeScript 操作 Linux 虛擬網路",
  themeConfig: {
    nav: [
      { text: "裝置", link: "/zh-TW/concepts/namespaces", activeMatch: "^/zh-TW/concepts/" },
      { text: "指南（英文）", link: "/guides/rootless" },
      { text: "API（英文）", link: "/reference" },
    ],
    sidebar: [
      { text: "開始", items: [{ text: "一分鐘內建好 bridge", link: "/zh-TW/start" }] },
      concepts("裝置", "/zh-TW/concepts/", [
        "網路命名空間",
        "TUN 與 TAP",
        "veth",
        "Bridge",
        "macvlan",
        "ipvlan",
        "macvtap 與 ipvtap",
      ]),
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
