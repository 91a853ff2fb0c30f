package scale

import (
	"os"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m.Run)) }
