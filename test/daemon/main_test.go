package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// programs is the environment variable that names the directory of the programs that are tested.
const programs = "NETMEND_DAEMON_PROGRAMS"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == refuseNetlink {
		fmt.Fprintln(os.Stderr, "daemon:", withoutNetlink(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(lab.Main(func() int {
		dir, err := os.MkdirTemp("", "daemon-")
		for _, p := range []string{"cmd/netmendd", "plugins/netmend"} {
			if err == nil {
				err = lab.Build(filepath.Join(dir, filepath.Base(p)), "./"+p)
			}
		}
		if err == nil {
			err = os.Setenv(programs, dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "daemon:", err)
			return 1
		}
		return m.Run()
	}))
}
