// VitePress' own theme, and diagrams.
import { h } from "vue";
import type { Theme } from "vitepress";
import DefaultTheme from "vitepress/theme";
import Diagram from "./Diagram.vue";
import "./style.css";

const bridge = { name: "bridge", alt: "ns1, ns2: veth, br-test" };

export default {
  extends: DefaultTheme,
  Layout: () => h(DefaultTheme.Layout, null, { "home-hero-image": () => h(Diagram, bridge) }),
  enhanceApp({ app }) {
    app.component("Diagram", Diagram);
  },
} satisfies Theme;
