package fix

import "github.com/netmend/netmend/pkg/facts"

// Shell is one line of advice: a command, quoted word by word, for a person to run in the namespace. A nil namespace is the person's own.
func Shell(ns *facts.Namespace, words ...string) string {
	if ns == nil {
		return quoteAll(words)
	}
	return enter(ns, words)
}
