import { untranslated } from "../.vitepress/untranslated.ts";

export default { paths: () => untranslated() };
