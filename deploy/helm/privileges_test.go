package helm

import (
	"slices"
	"strings"
	"testing"
)

// TestPrivileges holds what pods may do, word by word: whoever gives them more has to say so here.
func TestPrivileges(t *testing.T) {
	reading := []string{"NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE"}
	fixing := append(slices.Clone(reading), "SYS_CHROOT")
	for _, tt := range []struct {
		values     []string
		kind, name string
		caps       []string
		writable   []string // mounts
		token      bool
	}{
		{nil, "DaemonSet", "netmend", reading, []string{"/host/run/netmend", "/host/var/lib/netmend"}, true},
		{set("kubernetes.enabled=false"), "DaemonSet", "netmend", reading, []string{"/host/run/netmend", "/host/var/lib/netmend"}, false},
		{set("mode=fix"), "DaemonSet", "netmend", fixing, []string{
			"/host/proc", "/host/run", "/host/run/netmend", "/host/var/lib/netmend", "/host/etc/sysctl.d", "/host/etc/modules-load.d", "/host/etc/udev/rules.d",
			"/host/etc/cni/net.d", "/host/opt/cni/bin", "/host/var/lib/cni",
		}, true},
		{set("mode=fix", "host.writable={/etc/cni/net.d}", "securityContext.addCapabilities={CHOWN}"), "DaemonSet", "netmend", append(slices.Clone(fixing), "CHOWN"), []string{
			"/host/proc", "/host/run", "/host/run/netmend", "/host/var/lib/netmend", "/host/etc/cni/net.d",
		}, true},
		{nil, "DaemonSet", "netmend-retire", fixing, []string{"/host"}, false},
		{nil, "Job", "netmend-withdraw", nil, nil, true},
	} {
		name := strings.Join(append(tt.values, tt.kind, tt.name), " ")
		o := find(render(t, tt.values...), tt.kind, tt.name)
		if o == nil {
			t.Errorf("%s: there is none", name)
			continue
		}
		p := o.Spec.Template.Spec
		if p.AutomountServiceAccountToken == nil || *p.AutomountServiceAccountToken || p.SecurityContext.SeccompProfile.Type != "RuntimeDefault" || !p.HostNetwork ||
			p.PriorityClassName != "system-node-critical" || len(p.Tolerations) != 1 || p.Tolerations[0]["operator"] != "Exists" {
			t.Errorf("%s: %+v", name, p)
		}
		token := slices.ContainsFunc(p.Volumes, func(v struct {
			Name      string
			HostPath  *struct{ Path, Type string }
			Projected *struct{}
		}) bool {
			return v.Projected != nil
		})
		if token != tt.token {
			t.Errorf("%s: it has a token: %v; want %v", name, token, tt.token)
		}
		for _, c := range append(p.InitContainers, p.Containers...) {
			s := c.SecurityContext
			if s.Privileged || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) ||
				!slices.Equal(s.Capabilities.Add, tt.caps) {
				t.Errorf("%s: container %s: %+v; want the capabilities %q", name, c.Name, s, tt.caps)
			}
			var writable []string
			for _, m := range c.VolumeMounts {
				if !m.ReadOnly {
					writable = append(writable, m.MountPath)
				}
			}
			if !slices.Equal(writable, tt.writable) {
				t.Errorf("%s: container %s: writable are %q; want %q", name, c.Name, writable, tt.writable)
			}
		}
	}
}

// TestRoles holds what the API server allows: what is off is not allowed either.
func TestRoles(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   string
	}{
		{nil, "nodes get,list,watch; nodes/status patch; services get,list,watch; endpointslices get,list,watch; events create,patch; nodenetworkreports get,create,update,delete"},
		{set("kubernetes.startupTaint=true", "kubernetes.services=false", "kubernetes.condition=false", "kubernetes.events=false", "kubernetes.report=false"), "nodes get,list,watch,patch; nodenetworkreports list"},
		{set("kubernetes.startupTaint=true", "kubernetes.services=false", "kubernetes.condition=false", "kubernetes.events=false"), "nodes get,list,watch,patch; nodenetworkreports get,create,update,delete,list"},
	} {
		var got []string
		for _, r := range find(render(t, tt.values...), "ClusterRole", "netmend").Rules {
			got = append(got, strings.Join(r.Resources, ",")+" "+strings.Join(r.Verbs, ","))
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%v: %s; want %s", tt.values, strings.Join(got, "; "), tt.want)
		}
	}
	if o := find(render(t, set("kubernetes.enabled=false")...), "ClusterRole", "netmend"); o != nil {
		t.Error("there is a role without Kubernetes")
	}
}

// TestProbes asks at an address at which the daemon listens.
func TestProbes(t *testing.T) {
	for address, want := range map[string]string{"": "127.0.0.1", "127.0.0.1": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1", "10.1.2.3": "10.1.2.3", "fd00::1": "fd00::1"} {
		c := find(render(t, set("http.address="+address, "http.port=81")...), "DaemonSet", "netmend").Spec.Template.Spec.Containers[0]
		if l, r := c.LivenessProbe.HTTPGet, c.ReadinessProbe.HTTPGet; l.Host != want || r.Host != want || l.Port != 81 || r.Port != 81 || l.Path != "/healthz" || r.Path != "/readyz" {
			t.Errorf("%q: probes %+v and %+v; want %s", address, l, r, want)
		}
	}
}

// TestPolicy is there where the API server has it, or where it is asked for.
func TestPolicy(t *testing.T) {
	for value, want := range map[string]bool{"auto": true, "true": true, "false": false} {
		if got := find(render(t, "--set", "admissionPolicy.enabled="+value), "ValidatingAdmissionPolicy", "netmend-own-node") != nil; got != want {
			t.Errorf("%s: %v; want %v", value, got, want)
		}
	}
	text, err := helm(t, "template", "netmend", chart, "--kube-version", "1.29.0")
	if err != nil || strings.Contains(text, "kind: ValidatingAdmissionPolicy") || strings.Contains(text, "appArmorProfile") {
		t.Errorf("an API server of 1.29: %v: %s", err, text)
	}
}

// TestUninstall: whatever runs before the end is a hook, and the pods that clean up go wherever the daemon does.
func TestUninstall(t *testing.T) {
	objects := render(t, set("nodeSelector.a=b", "uninstall.undoFixes=false")...)
	weights := map[string]string{}
	for _, o := range objects {
		if o.Metadata.Annotations["helm.sh/hook"] == "pre-delete" {
			weights[o.Kind] = o.Metadata.Annotations["helm.sh/hook-weight"]
		}
	}
	if weights["ServiceAccount"] != "-10" || weights["DaemonSet"] != "0" || weights["Job"] != "10" || weights["RoleBinding"] != "-9" || weights["ClusterRoleBinding"] != "-9" {
		t.Errorf("weights of the hooks: %v", weights)
	}
	for _, c := range find(objects, "DaemonSet", "netmend-retire").Spec.Template.Spec.InitContainers {
		if !slices.Contains(c.Args, "--keep-fixes") {
			t.Errorf("arguments %q", c.Args)
		}
	}
	if o := find(render(t, set("uninstall.enabled=false")...), "Job", "netmend-withdraw"); o != nil {
		t.Error("a Job that was not asked for")
	}
}
