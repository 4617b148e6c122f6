# options.sh - sourced by tools/run: refuses what kolk-demo would refuse (tools/demo/options.c), with the
# same words, before anything is installed or built.
# shellcheck shell=sh

refuse() {
	echo "kolk-demo: $*" >&2
	exit 2
}

check_number() { # NAME TEXT MAX CHARACTERS
	case $2 in
	'' | *[!$4]* | *.*.*) ;;
	*) awk -v value="$2" -v max="$3" 'BEGIN { exit !(value + 0 > 0 && value + 0 <= max) }' && return ;;
	esac
	refuse "$1: '$2' is not a number above 0 and up to $3"
}

check_target() {
	case $1 in
	unix:?*) return ;;
	\[*] | *:) port= ;;
	*:*) port=${1##*:} ;;
	*) port= ;;
	esac
	[ -n "$port" ] ||
		refuse "--target: '$1': the port is missing: HOST:PORT, [IPv6]:PORT or unix:PATH"
	case ${1%:*} in \[*]) ;; '' | *:*) port=0 ;; esac
	case $port in *[!0-9]* | ??????*) port=0 ;; esac
	[ "$port" -ge 1 ] && [ "$port" -le 65535 ] ||
		refuse "--target: '$1' is not HOST:PORT, [IPv6]:PORT or unix:PATH"
}

check_value() { # NAME VALUE
	case $1 in
	--target) check_target "$2" ;;
	--ca)
		[ -e "$2" ] || refuse "--ca: there is no file '$2'"
		[ -r "$2" ] || refuse "--ca: '$2' cannot be read"
		;;
	--seconds) check_number "$1" "$2" 86400 0-9. ;;
	--callers) check_number "$1" "$2" 4096 0-9 ;;
	--backend) case $2 in auto | io_uring | epoll) ;; *) refuse "$1: '$2' is not auto, io_uring or epoll" ;; esac ;;
	--protocol) case $2 in raw | redis-ping | http-get) ;; *) refuse "$1: '$2' is not raw, redis-ping or http-get" ;; esac ;;
	esac
}

check_options() {
	ca='' tls=''
	while [ $# -gt 0 ]; do
		case $1 in
		--help) sed -n 's/^"\(.*\)\\n"$/\1/p' "$root/tools/demo/usage.inc" && exit 0 ;;
		--tls) tls=1 ;;
		--serve) ;;
		--target | --ca | --json | --seconds | --callers | --backend | --protocol)
			[ $# -gt 1 ] || refuse "$1: its value is missing"
			check_value "$1" "$2"
			[ "$1" != --ca ] || ca=1
			shift
			;;
		*) refuse "there is no option '$1' (--help lists them)" ;;
		esac
		shift
	done
	[ -z "$ca" ] || [ -n "$tls" ] || refuse "--ca goes with --tls"
}
