"""Completion of `transduce` for three shells: verbs, tasks, flags, and the config keys of the task at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.flags import Flag


def script(shell: str, verbs: Mapping[str, Sequence[Flag]]) -> str:
    """To be sourced; the names of tasks and keys are asked for when needed, so that plugins appear."""
    flags = {verb: [one for one in own if not one.hidden] for verb, own in verbs.items()}
    match shell:
        case "fish":
            return fish(flags)
        case "zsh":
            return "autoload -U +X bashcompinit && bashcompinit\n" + bash(flags)
        case _:
            return bash(flags)


def bash(verbs: Mapping[str, Sequence[Flag]]) -> str:
    """Also for zsh, by its bashcompinit."""
    cases = "\n".join(f'        {verb}) words="{" ".join(one.name for one in own)}" ;;' for verb, own in verbs.items())
    taking = "|".join(sorted({one.name for own in verbs.values() for one in own if one.value and not one.choices}))
    choices = {one.name: one.choices for own in verbs.values() for one in own if one.choices}
    chosen = "\n".join(
        f'        {name}) COMPREPLY=($(compgen -W "{" ".join(values)}" -- "$word")); return ;;'
        for name, values in choices.items()
    )
    return f"""# transduce completion: source <(transduce train roman --completion bash)
_transduce() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    local verb="${{COMP_WORDS[1]}}" task="${{COMP_WORDS[2]}}" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{" ".join(verbs)} check new doctor" -- "$word")); return
    elif [ "$COMP_CWORD" -eq 2 ]; then
        COMPREPLY=($(compgen -W "$(transduce --names 2>/dev/null)" -- "$word")); return
    fi
    case "$before" in
{chosen}
        {taking}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    case "$verb" in
{cases}
    esac
    case "$word" in
        -*) COMPREPLY=($(compgen -W "$words" -- "$word")); return ;;
    esac
    if [ "$_transduce_task" != "$verb $task" ]; then
        _transduce_keys="$(transduce "$verb" "$task" --keys 2>/dev/null)"
        _transduce_task="$verb $task"
    fi
    COMPREPLY=($(compgen -S = -W "$_transduce_keys" -- "$word") $(compgen -f -- "$word"))
    case "${{COMPREPLY[0]}}" in
        *=) compopt -o nospace +o filenames 2>/dev/null ;;
    esac
}}
complete -o filenames -F _transduce transduce
"""


def fish(verbs: Mapping[str, Sequence[Flag]]) -> str:
    """Files are offered wherever a task has been named."""
    count = "(count (commandline -opc))"
    lines = [
        "# transduce completion: transduce train roman --completion fish | source",
        f"complete -c transduce -f -n 'test {count} -eq 1' -a '{' '.join(verbs)} check new doctor'",
        f"complete -c transduce -f -n 'test {count} -eq 2' -a '(transduce --names 2>/dev/null)'",
    ]
    for verb, own in verbs.items():
        here = f"test {count} -ge 3; and __fish_seen_subcommand_from {verb}"
        asked = f"(transduce {verb} (commandline -opc)[3] --keys 2>/dev/null)="
        lines.append(f"complete -c transduce -n '{here}' -a '{asked}'")
        for one in own:
            wants = f" -x -a '{' '.join(one.choices)}'" if one.choices else " -r" if one.value else ""
            lines.append(
                f"complete -c transduce -n '{here}' -l {one.name.removeprefix('--')}{wants} -d {quoted(one.meaning)}"
            )
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """For fish: between single quotes, only a quote and a backslash mean anything."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
