package herald

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// TestOlderKind is a cluster whose CustomResourceDefinition is of an older version, as helm upgrade leaves it: what it does not know of a report is left out, and is
// not written again with each look.
func TestOlderKind(t *testing.T) {
	c := newCluster(t)
	c.forgetKernel()
	d := newDoor(t, c.Cluster)
	c.node("older")
	s := c.daemon(t, d, "older")
	s.say(status.Proven)
	s.until("the report", func() string {
		r, there := c.report("older")
		switch {
		case !there:
			return "there is none"
		case r.Status.Versions.Kernel != "":
			t.Fatalf("the API server knows the kernel %s; want it left out", r.Status.Versions.Kernel)
		}
		return ""
	})
	s.untilCondition("False")
	const written = "^(POST|PUT) /apis/netmend.io/"
	looks, before := d.count("^GET /apis/netmend.io/"), d.count(written)
	s.until("three more looks", func() string {
		if d.count("^GET /apis/netmend.io/") < looks+3 {
			return "fewer"
		}
		return ""
	})
	if n := d.count(written) - before; n != 0 {
		t.Errorf("a report that stays as it is was written %d times:\n%s", n, d.last(10))
	}

	c.do(http.MethodPatch, "/apis/"+nodereport.APIVersion+"/"+nodereport.Resource+"/older", object{"status": object{"mode": "audit"}})
	s.until("the report that somebody has spoilt", func() string {
		if r, _ := c.report("older"); r.Status.Mode != "fix" {
			return "it is " + r.Status.Mode
		}
		return ""
	})
}

// forgetKernel takes the kernel's version out of what the API server knows of reports, and waits until it does not.
func (c *cluster) forgetKernel() {
	c.t.Helper()
	const kind = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/nodenetworkreports.netmend.io"
	var crd object
	if err := json.Unmarshal(c.do(http.MethodGet, kind, nil), &crd); err != nil {
		c.t.Fatal(err)
	}
	at := func(o any, keys ...string) object {
		for _, k := range keys {
			o = o.(object)[k]
		}
		return o.(object)
	}
	version := at(crd, "spec")["versions"].([]any)[0]
	versions := at(version, "schema", "openAPIV3Schema", "properties", "status", "properties", "versions")
	versions["required"] = []string{"netmend"}
	delete(at(versions, "properties"), "kernel")
	c.do(http.MethodPut, kind, crd)
	trial := nodereport.Report{
		APIVersion: nodereport.APIVersion, Kind: nodereport.Kind, Metadata: nodereport.Metadata{Name: "trial"},
		Status: nodereport.Status{State: status.Proven, Since: time.Now(), Mode: "audit", Versions: nodereport.Versions{Netmend: "v0.1.0", Kernel: "6.18.0"}},
	}
	path := "/apis/" + nodereport.APIVersion + "/" + nodereport.Resource
	lab.WaitFor(c.t, patience, "the older kind to be served", func() (bool, string) {
		var r nodereport.Report
		text, err := c.Do(http.MethodPost, path, trial)
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			return false, err.Error()
		}
		c.do(http.MethodDelete, path+"/trial", nil)
		return r.Status.Versions.Kernel == "", "it knows the kernel"
	})
}
