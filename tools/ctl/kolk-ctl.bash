# SPDX-License-Identifier: Apache-2.0
# Completion of kolk-ctl and kolk-top for bash. Names of pools and users come from the gateway itself.

_kolk_names() { # LIST NAME: the names in a list of the status, one a line
	local -a where=()
	local i
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--socket | --url | --token-file) where+=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]}") ;;
		esac
	done
	command -v jq >/dev/null || return
	timeout 2 kolk-ctl "${where[@]}" --json status 2>/dev/null | jq -r ".$1[].name" 2>/dev/null |
		grep -x '[[:alnum:]._@:+-]*'
}

_kolk_ctl() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local common='--socket --url --token-file --json --help --version' command='' i
	local commands='status cleanup warmup drain resume evict reload check import metrics health'

	COMPREPLY=()
	case $before in
	--socket | --token-file | --output | -o)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	--url) mapfile -t COMPREPLY < <(compgen -W 'http://127.0.0.1:' -- "$word") && return ;;
	--pool) mapfile -t COMPREPLY < <(compgen -W "$(_kolk_names pools)" -- "$word") && return ;;
	--user) mapfile -t COMPREPLY < <(compgen -W "$(_kolk_names tenants)" -- "$word") && return ;;
	--idle | --grace) mapfile -t COMPREPLY < <(compgen -W '10s 1m 5m' -- "$word") && return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		[[ " $commands " == *" ${COMP_WORDS[i]} "* ]] && command=${COMP_WORDS[i]}
	done
	case $command in
	'') common="$commands $common" ;;
	status) common="--pool --user --connections $common" ;;
	cleanup) common="--pool --user --idle $common" ;;
	warmup) common="--pool --user $common" ;;
	drain) common="--pool --all --grace --yes $common" ;;
	resume) common="--pool --all $common" ;;
	evict) common="--pool --user --all --yes $common" ;;
	import)
		if [[ $word == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W '--output --force --help --version' -- "$word")
			return
		fi
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	check)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$common" -- "$word")
}

_kolk_top() {
	local word=${COMP_WORDS[COMP_CWORD]}

	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--socket | --token-file)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	--interval) mapfile -t COMPREPLY < <(compgen -W '500ms 1s 5s' -- "$word") ;;
	--url) ;;
	*) mapfile -t COMPREPLY < <(compgen -W \
		'--socket --url --token-file --interval --once --help --version' -- "$word") ;;
	esac
}

complete -F _kolk_ctl kolk-ctl
complete -F _kolk_top kolk-top
