#compdef kolk-ctl kolk-top
# SPDX-License-Identifier: Apache-2.0
# Completion of kolk-ctl and kolk-top for zsh; goes as _kolk-ctl into a directory of $fpath.

_kolk_where=(
	'(--url)--socket[Unix socket of the admin server]:socket:_files'
	'(--socket)--url[address of the admin server]:URL:(http\://127.0.0.1\:)'
	'--token-file[first line is the token]:file:_files'
	'--help[show what there is]'
	'--version[show the version]'
)

_kolk_commands() {
	local -a commands=(
		'status:what is open, and for which tenants'
		'cleanup:close idle connections'
		'warmup:dial what is to be kept ready'
		'drain:refuse callers until resume'
		'resume:serve again what was drained'
		'evict:replace every connection by a new one'
		'reload:read the configuration again'
		'check:is this configuration right'
		'import:a tools file of others as a configuration'
		'metrics:what Prometheus would scrape'
		'health:does it live, and is it ready'
	)
	_describe command commands
}

if [[ $service == kolk-top ]]; then
	_arguments "${_kolk_where[@]}" '--interval[ask so often]:duration:(500ms 1s 5s)' \
		'--once[print one picture as text]'
	return
fi

_kolk_options=()
case ${(M)words:#(status|cleanup|warmup|drain|resume|evict|import)} in
status) _kolk_options=('--pool[of this pool]:pool:' '--user[of this user]:user:' '--connections[each of them]') ;;
cleanup) _kolk_options=('--pool[of this pool]:pool:' '--user[of this user]:user:' '--idle[idle for so long]:duration:(30s 1m 5m)') ;;
warmup) _kolk_options=('--pool[this pool]:pool:' '--user[this user]:user:') ;;
drain) _kolk_options=('--pool[this pool]:pool:' '--all[every pool]' '--grace[leases may go on]:duration:(10s 1m)' '--yes[do not ask]') ;;
resume) _kolk_options=('--pool[this pool]:pool:' '--all[every pool]') ;;
evict) _kolk_options=('--pool[of this pool]:pool:' '--user[of this user]:user:' '--all[of everything]' '--yes[do not ask]') ;;
import) _kolk_options=('(-o --output)'{-o,--output}'[write to this file]:file:_files' '--force[replace that file]') ;;
esac
_arguments "${_kolk_where[@]}" '--json[what the server says]' "${_kolk_options[@]}" \
	'1:command:_kolk_commands' '2:file:_files -g "*.y(a|)ml"'
