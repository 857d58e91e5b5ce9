# fish completion for keepctl(8): verbs, options from keepctl's own help, and
# the names of services as keepd knows them.

function __keepctl_verbs
	keepctl help 2>/dev/null |
	    string replace -rf '^  ([a-z]+) .*  (\S.*)$' '$1\t$2'
end

function __keepctl_verb
	for word in (commandline -opc)[2..-1]
		if contains -- $word (keepctl help 2>/dev/null |
		    string replace -rf '^  ([a-z]+) .*$' '$1') ls
			echo $word
			return 0
		end
	end
	return 1
end

function __keepctl_options
	keepctl help (__keepctl_verb) 2>/dev/null |
	    string replace -rf '^ *(?:-., )?(--[a-z-]+).*  (\S.*)$' '$1\t$2'
end

function __keepctl_services
	contains -- (__keepctl_verb) status list ls start stop restart logs \
	    search wait events
	and keepctl -q list 2>/dev/null
end

complete -c keepctl -f
complete -c keepctl -s j -l json -d 'print JSON'
complete -c keepctl -s q -l brief -d 'print less'
complete -c keepctl -s s -l socket -r -F -d 'control socket of keepd'
complete -c keepctl -n 'not __keepctl_verb >/dev/null' -a '(__keepctl_verbs)'
complete -c keepctl -n '__keepctl_verb >/dev/null' -a '(__keepctl_services)'
complete -c keepctl -n 'string match -q -- "-*" (commandline -ct)' \
    -a '(__keepctl_options)'
complete -c keepctl -n 'test (__keepctl_verb; or echo) = mode' -a 'dev release'
complete -c keepctl -n 'test (__keepctl_verb; or echo) = completion' \
    -a 'bash zsh fish'
complete -c keepctl -n 'test (__keepctl_verb; or echo) = help' \
    -a '(__keepctl_verbs)'
