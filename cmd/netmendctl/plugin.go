package main

import (
	"slices"
	"strings"
)

// pluginName is the name under which kubectl finds the program: `kubectl netmend` is `netmendctl cluster`.
const pluginName = "kubectl-netmend"

// completerName is the program that kubectl asks for what may stand behind kubectl netmend, since 1.26.
const completerName = "kubectl_complete-netmend"

func isPlugin(name string) bool {
	return slices.Contains([]string{pluginName, completerName}, strings.TrimSuffix(name, ".exe"))
}

// pluginArgs puts the command in that kubectl netmend stands for, unless another one is named. kubectl hands on all that stands behind the plugin's name.
func pluginArgs(name string, args []string) []string {
	if strings.HasPrefix(name, completerName) {
		return slices.Concat([]string{"__complete"}, pluginArgs(pluginName, args))
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return args
	}
	return slices.Concat([]string{"cluster"}, args)
}

// caller is how the program names itself.
func (e *env) caller() string {
	if isPlugin(e.name) {
		return "kubectl netmend"
	}
	return "netmendctl"
}
