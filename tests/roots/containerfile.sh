# shellcheck shell=bash
# The instructions of a Containerfile, done in roots: sourced by run. Only those that ours has.
# build_image FILE ROOT: its first stage in $work/root, which has the tree already, the last one in ROOT.
# Sets image_user, image_environment (NAME=VALUE ...), image_entry.
build_image() {
	local word rest stage='' line=''
	image_user=root image_environment='' image_entry=()
	while read -r word rest; do
		[[ -n $word && $word != '#'* ]] || continue
		line+="$word $rest"
		[[ $line != *\\ ]] || { line=${line%\\} && continue; }
		read -r word rest <<<"$line"
		line=''
		echo "$word $rest"
		instruction "$word" "$rest" "$2" || return
	done <"$1"
}

instruction() { # WORD REST ROOT
	local -a words
	read -ra words <<<"$2"
	case $1 in
	FROM)
		[[ ${words[0]} == debian:13-slim ]] || return
		stage=$([[ $2 == *' AS build' ]] && echo "$work/root" || echo "$3")
		[[ $stage == "$work/root" ]] || unpack "$stage" ;;
	WORKDIR) [[ $2 == /root/kolk ]] ;;
	COPY)
		[[ $stage != "$work/root" || $2 != '. .' ]] || return 0 # the tree is there
		[[ ${words[0]} == --from=build ]] && mkdir -p "$stage${words[2]}" || return
		# shellcheck disable=SC2086 # a pattern
		cp $work/root${words[1]} "$stage${words[2]}" ;;
	RUN) in_root "$stage" sh -c "$2" ;;
	ENV) image_environment+="$2 " ;;
	EXPOSE) ;;
	STOPSIGNAL) [[ $2 == SIGTERM ]] ;;
	USER) image_user=$2 ;;
	ENTRYPOINT) mapfile -t image_entry < <(grep -o '"[^"]*"' <<<"$2" | tr -d '"') ;;
	*) echo "what is $1?" && return 1 ;;
	esac
}
