# SPDX-License-Identifier: Apache-2.0
# Completion for gmctl in bash: as /usr/share/bash-completion/completions/gmctl, or sourced. gmctl itself says what a word could
# become, from its own table of commands and from what gmd has; files are completed where it says nothing.
_gmctl()
{
	local IFS=$'\n'
	mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	# shellcheck disable=SC2128 # the first of them
	[[ ${#COMPREPLY[@]} = 1 && $COMPREPLY == */ ]] && compopt -o nospace 2>/dev/null
	return 0
}
complete -o default -F _gmctl gmctl
