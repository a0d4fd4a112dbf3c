"""`evenshard completion SHELL`: a completion script, made from the commands' own flags."""

from __future__ import annotations

import enum
import importlib
import shlex
from collections.abc import Sequence
from dataclasses import MISSING, dataclass

from evenshard import commands
from tfrecords.cli import flags
from tfrecords.cli.flags import flag
from tfrecords.cli.run import Command


class Shell(str, enum.Enum):
    """A shell that a script can be made for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


class Values(enum.Enum):
    """What completes a flag's value, where it has no fixed choices."""

    NOTHING = ""
    FILES = "files"
    FOLDERS = "folders"


# How `--help` names values that are paths.
_PATHS = {
    "DIR": Values.FOLDERS,
    "DIR,…": Values.FOLDERS,
    "FILE": Values.FILES,
    "PATH": Values.FILES,
    "PNG": Values.FILES,
    "natural|name|FILE": Values.FILES,
    "none|imagenet|PATH": Values.FILES,
}


@dataclass(frozen=True)
class FlagCompletion:
    """A flag and its values.

    Attributes:
      name: without dashes.
      takes_value: whether "=" follows.
      choices: the only values allowed; () for any.
      values: what else completes a value.
    """

    name: str
    takes_value: bool
    choices: tuple[str, ...]
    values: Values

    @property
    def text(self) -> str:
        """As it is typed, up to the value."""
        return f"--{self.name}{'=' if self.takes_value else ''}"


@dataclass(frozen=True)
class CommandCompletion:
    """A command and what follows it.

    Attributes:
      name: of the command.
      summary: one line.
      flags: all of its flags.
      words: that may follow without a flag.
      values: what else may follow without a flag.
    """

    name: str
    summary: str
    flags: tuple[FlagCompletion, ...]
    words: tuple[str, ...]
    values: Values


@dataclass(frozen=True, kw_only=True)
class CompletionConfig:
    """Which script to print. Fields are the flags of `evenshard completion`."""

    shell: Shell = flag(MISSING, "Script", "Your shell.", positional=True)

    def __post_init__(self) -> None:
        flags.convert_fields(self)


def main(config: CompletionConfig) -> None:
    """Prints the script."""
    print(script(config.shell))


def script(shell: Shell) -> str:
    """Returns the completion script of a shell."""
    return _SCRIPTS[shell]([_completion(command) for command in commands.COMMANDS])


def _completion(sub_command: commands.SubCommand) -> CommandCompletion:
    command: Command = importlib.import_module(sub_command.module).COMMAND
    config = command.config
    positional = [name for name in flags.names_of(config) if flags.is_positional(config, name)]
    first = _flag(config, positional[0]) if positional else None
    return CommandCompletion(
        sub_command.name,
        sub_command.summary,
        tuple(_flag(config, name) for name in flags.names_of(config)),
        first.choices if first else (),
        first.values if first else Values.NOTHING,
    )


def _flag(config: type, name: str) -> FlagCompletion:
    metavar = flags.metavar_of(config, name)
    has_choices = metavar is not None and name != "flagfile"
    choices = flags.choices_of(config, name) if has_choices else ()
    values = _PATHS.get(metavar or "", Values.NOTHING)
    return FlagCompletion(name, metavar is not None, choices, values)


def _bash(completions: Sequence[CommandCompletion]) -> str:
    cases, values = [], []
    for command in completions:
        words = " ".join((*(each.text for each in command.flags), *command.words))
        cases.append(
            f"    {command.name}) words={shlex.quote(words)}; paths={command.values.value} ;;"
        )
        for each in command.flags:
            if each.choices or each.values is not Values.NOTHING:
                words = shlex.quote(" ".join(each.choices))
                name = f"{command.name}--{each.name}"
                values.append(f"    {name}) words={words}; paths={each.values.value} ;;")
    names = " ".join(command.name for command in completions)
    return _BASH.format(names=names, cases="\n".join(cases), values="\n".join(values))


# "=" is one of bash's word breaks: "--flag=val" comes as the words "--flag", "=" and "val".
_BASH = """\
# bash completion of evenshard: source <(evenshard completion bash)
_evenshard() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[1]}}" name="" words="" paths=""
  COMPREPLY=()
  if [[ $COMP_CWORD -eq 1 ]]; then
    COMPREPLY=($(compgen -W '{names} --help --version' -- "$current"))
    return
  fi
  if [[ $current == "=" ]]; then
    name="${{COMP_WORDS[COMP_CWORD-1]}}"
    current=""
  elif [[ ${{COMP_WORDS[COMP_CWORD-1]}} == "=" ]]; then
    name="${{COMP_WORDS[COMP_CWORD-2]}}"
  elif [[ $current == --*=* ]]; then
    name="${{current%%=*}}"
    current="${{current#*=}}"
  fi
  if [[ -n $name ]]; then
    name="${{name#--}}"
    case "$command--${{name//-/_}}" in
{values}
    esac
  else
    case "$command" in
{cases}
    esac
  fi
  if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$current")); fi
  if [[ $paths == files && $current != --* ]]; then
    COMPREPLY+=($(compgen -f -- "$current"))
    compopt -o filenames 2>/dev/null
  elif [[ $paths == folders && $current != --* ]]; then
    COMPREPLY+=($(compgen -d -- "$current"))
    compopt -o filenames 2>/dev/null
  fi
  if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *= ]]; then
    compopt -o nospace 2>/dev/null
  fi
}}
complete -F _evenshard evenshard"""


def _zsh(completions: Sequence[CommandCompletion]) -> str:
    named = "\n".join(f"    {_zsh_word(c.name, c.summary)}" for c in completions)
    cases = []
    for command in completions:
        lines = [f"    {shlex.quote(_zsh_flag(each))} \\" for each in command.flags]
        rest = _ZSH_VALUES[command.values]
        if command.words:
            rest = f"({' '.join(command.words)})"
        cases.append(
            f"  {command.name}) _arguments \\\n" + "\n".join(lines) + f"\n    '*: :{rest}' ;;"
        )
    return _ZSH.format(names=named, cases="\n".join(cases))


_ZSH_VALUES = {Values.NOTHING: "", Values.FILES: "_files", Values.FOLDERS: "_files -/"}

_ZSH = """\
#compdef evenshard
# zsh completion of evenshard: source <(evenshard completion zsh)
_evenshard() {{
  local -a commands
  commands=(
{names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{cases}
  esac
}}
compdef _evenshard evenshard"""


def _zsh_word(name: str, summary: str) -> str:
    return shlex.quote(f"{name}:{summary.replace(':', chr(92) + ':')}")


def _zsh_flag(each: FlagCompletion) -> str:
    if not each.takes_value:
        return f"--{each.name}"
    action = f"({' '.join(each.choices)})" if each.choices else _ZSH_VALUES[each.values]
    return f"--{each.name}=:{each.name}:{action}"


def _fish(completions: Sequence[CommandCompletion]) -> str:
    lines = ["# fish completion of evenshard: evenshard completion fish | source",
             "complete -c evenshard -f"]  # fmt: skip
    for command in completions:
        lines.append(
            f"complete -c evenshard -n __fish_use_subcommand -a {command.name} "
            f"-d {shlex.quote(command.summary)}"
        )
    for command in completions:
        seen = f"complete -c evenshard -n '__fish_seen_subcommand_from {command.name}'"
        for each in command.flags:
            lines.append(f"{seen} -l {each.name}{_fish_values(each)}")
        if command.words:
            lines.append(f"{seen} -a {shlex.quote(' '.join(command.words))}")
        elif command.values is Values.FOLDERS:
            lines.append(f"{seen} -a '(__fish_complete_directories)'")
    return "\n".join(lines)


def _fish_values(each: FlagCompletion) -> str:
    if not each.takes_value:
        return ""
    if each.choices:
        return f" -x -a {shlex.quote(' '.join(each.choices))}"
    if each.values is Values.FOLDERS:
        return " -x -a '(__fish_complete_directories)'"
    return " -r -F" if each.values is Values.FILES else " -x"


_SCRIPTS = {Shell.BASH: _bash, Shell.ZSH: _zsh, Shell.FISH: _fish}

COMMAND = Command(
    module="evenshard completion",
    summary="Prints a script that completes commands, flags, choices and paths in your shell.",
    arguments="bash|zsh|fish",
    config=CompletionConfig,
    main=main,
    examples="""\
source <(evenshard completion bash)      # in ~/.bashrc
source <(evenshard completion zsh)       # in ~/.zshrc, after compinit
evenshard completion fish | source       # in ~/.config/fish/config.fish""",
)
