/**
 * `netloom completion`: the scripts that ask `netloom __complete` for words.
 *
 * @module
 */
import type { Call } from "./verb.ts";

const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `COMP_WORDBREAKS=\${COMP_WORDBREAKS//:} # h1:eth0 is one word
_netloom() {
  local IFS=$'\\n'
  COMPREPLY=($(netloom __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
  [ "\${COMPREPLY[0]}" = ":file" ] && { compopt -o default; COMPREPLY=(); }
}
complete -F _netloom netloom
`,
  zsh: `#compdef netloom
_netloom() {
  local -a words_found
  words_found=("\${(@f)$(netloom __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "$words_found[1]" = ":file" ]]; then _files; else compadd -a words_found; fi
}
compdef _netloom netloom
`,
  fish: `function __netloom_complete
  set -l words (commandline -opc) (commandline -ct)
  set -l found (netloom __complete $words[2..-1] 2>/dev/null)
  if test "$found[1]" = ":file"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $found
  end
end
complete -c netloom -f -a '(__netloom_complete)'
`,
};

/** Prints the script of a shell. */
export function run(call: Call): void {
  const shell = call.args[0]!;
  const script = SCRIPTS[shell]!;
  call.out.result({ shell, script }, script);
}
