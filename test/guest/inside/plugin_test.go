package inside

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// add has the CNI plugin judge a pod by one check. It is refused with this code; 0: it passes.
func add(t *testing.T, check string, code uint) {
	t.Helper()
	pod := lab.NewNS(t, "pod")
	conf := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"pods","type":"netmend","mode":"off","checks":{%q:"enforce"},"failurePolicy":"Fail","timeout":"10s","socket":"",
		"services":[{"name":"kube-system/kube-dns:dns","vip":%q,"port":53,"protocol":"udp"}],"prevResult":{"cniVersion":"1.0.0"}}`, check, lab.DNSAddress)
	cmd := exec.Command("netmend")
	cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID=box", "CNI_NETNS="+pod.Path, "CNI_IFNAME=eth0", "CNI_PATH=/usr/bin")
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout = bytes.NewReader([]byte(conf)), &out
	var got struct {
		Code uint
		Msg  string
	}
	if err := cmd.Run(); err != nil {
		if jsonErr := json.Unmarshal(out.Bytes(), &got); jsonErr != nil {
			t.Fatalf("netmend: %v: %s", err, out.Bytes())
		}
	}
	if got.Code != code {
		t.Errorf("ADD: code %d: %s; want %d", got.Code, got.Msg, code)
	}
}
