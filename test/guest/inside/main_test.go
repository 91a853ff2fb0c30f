package inside

import (
	"fmt"
	"os"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

func TestMain(m *testing.M) {
	if os.Getenv("NETMEND_GUEST") == "" {
		fmt.Println("these tests are run by package guest, in a guest kernel")
		return
	}
	os.Exit(lab.Main(m.Run))
}
