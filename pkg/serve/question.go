package serve

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/verdict"
)

// parseQuestion reads one message. Keys that are not known are those of a newer peer.
func parseQuestion(line []byte) (*verdict.Question, error) {
	var q verdict.Question
	if err := json.Unmarshal(line, &q); err != nil {
		return nil, errors.New("not a JSON object on one line")
	}
	tells := len(q.Tell) > 0 && string(q.Tell) != "null"
	switch {
	case q.Netmend != verdict.Version:
		return nil, fmt.Errorf("version %d is spoken here", verdict.Version)
	case tells == (q.Ask != ""):
		return nil, errors.New("it must either ask or tell")
	}
	if !tells {
		q.Tell = nil
	}
	return &q, nil
}
