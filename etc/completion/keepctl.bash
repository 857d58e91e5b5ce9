# bash completion for keepctl(8): verbs, options from keepctl's own help, and
# the names of services as keepd knows them.

_keepctl_services()
{
	keepctl -q "${@}" list 2>/dev/null
}

_keepctl()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	local verb= word i skip=
	local -a socket=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -n $skip ]]; then
			socket=(-s "$word")
			skip=
		elif [[ $word == -s || $word == --socket ]]; then
			skip=1
		elif [[ $word != -* ]]; then
			verb=$word
			break
		fi
	done
	COMPREPLY=()
	case $prev in
	-s|--socket)
		compopt -o filenames
		COMPREPLY=($(compgen -f -- "$cur"))
		return ;;
	--stream)
		COMPREPLY=($(compgen -W 'stdout stderr both' -- "$cur"))
		return ;;
	--status)
		COMPREPLY=($(compgen -W 'stopped waiting building starting
		    running stopping backoff failed killed' -- "$cur"))
		return ;;
	--timeout|-t|--reason|--since|--until|--run|--context|-C|--head|\
	--tail|--max-bytes|--log|--quiet|--port|-p|-n|--lines|--group|-g)
		return ;;
	esac
	if [[ -z $verb ]]; then
		COMPREPLY=($(compgen -W "$(keepctl help 2>/dev/null |
		    sed -n 's/^  \([a-z]*\) .*/\1/p') -j -q -s" -- "$cur"))
		return
	fi
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$(keepctl help "$verb" 2>/dev/null |
		    sed -n 's/^ *\(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p')" \
		    -- "$cur"))
		return
	fi
	case $verb in
	mode)
		COMPREPLY=($(compgen -W 'dev release' -- "$cur")) ;;
	completion)
		COMPREPLY=($(compgen -W 'bash zsh fish' -- "$cur")) ;;
	help)
		COMPREPLY=($(compgen -W "$(keepctl help 2>/dev/null |
		    sed -n 's/^  \([a-z]*\) .*/\1/p')" -- "$cur")) ;;
	status|list|ls|start|stop|restart|logs|search|wait|events)
		COMPREPLY=($(compgen -W "$(_keepctl_services "${socket[@]}")" \
		    -- "$cur")) ;;
	esac
}

complete -F _keepctl keepctl
