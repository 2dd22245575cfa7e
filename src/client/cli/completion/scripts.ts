import type { Shell } from "./shells.ts";

// Each script hands the words up to the cursor to `podplug __complete`, which
// answers a line for each candidate (`word<TAB>what it is`) or `:files`.

const bash = `# bash completion for podplug
_podplug() {
  local lines line
  COMPREPLY=()
  mapfile -t lines < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ \${lines[0]-} == :files ]]; then
    compopt -o default
    return
  fi
  for line in "\${lines[@]}"; do
    COMPREPLY+=("\${line%%$'\\t'*}")
  done
  # An option's value goes on right behind its "=".
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace
  fi
}
complete -F _podplug podplug
`;

const zsh = `#compdef podplug
# zsh completion for podplug
_podplug() {
  local -a lines described
  local line
  lines=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ "\${lines[1]}" == ":files" ]]; then
    _files
    return
  fi
  for line in "\${lines[@]}"; do
    [[ -n "$line" ]] || continue
    # _describe parts word and description at the first colon.
    if [[ "$line" == *$'\\t'* ]]; then
      described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    else
      described+=("\${line//:/\\\\:}")
    fi
  done
  _describe podplug described
}
if [[ "\${funcstack[1]}" == "_podplug" ]]; then
  _podplug "$@"
else
  compdef _podplug podplug
fi
`;

const fish = `# fish completion for podplug
function __podplug_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l lines ($words[1] __complete -- $words[2..-1] (commandline --current-token --cut-at-cursor) 2>/dev/null)
    if test "$lines[1]" = ":files"
        __fish_complete_path (commandline --current-token --cut-at-cursor)
    else
        printf '%s\\n' $lines
    end
end
complete --command podplug --no-files --arguments '(__podplug_complete)'
`;

export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell];
}
