package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netmend/netmend/pkg/cluster"
	"github.com/netmend/netmend/pkg/nodereport"
)

// Where the objects of a cluster's view are.
const (
	reportsList    = "/apis/" + nodereport.APIVersion + "/" + nodereport.Resource
	nodesList      = "/api/v1/nodes"
	proxyPodsList  = "/api/v1/namespaces/kube-system/pods"
	daemonSetsList = "/apis/apps/v1/namespaces/kube-system/daemonsets"
)

// attempts is how often a list is begun: one that an API server has forgotten the beginning of, or that it was too busy for.
const attempts = 3

// ErrNoReports says that the cluster does not know what a NodeNetworkReport is.
var ErrNoReports = errors.New("the cluster has no NodeNetworkReports: netmend is not installed on it (helm install netmend deploy/helm/netmend)")

// ReadCluster reads what a cluster is judged by. Without the reports there is nothing to judge, which is an error; what else could not be read the input says.
// read is told now and then how many objects were read; it may be nil.
func ReadCluster(ctx context.Context, a *Access, now time.Time, read func(objects int)) (*cluster.Input, error) {
	c, err := NewClient(a)
	if err != nil {
		return nil, err
	}
	defer c.http.CloseIdleConnections()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &clusterReader{client: c, read: read}
	var reports, nodes, pods view
	var err1, err2, err3 error
	var all sync.WaitGroup
	all.Go(func() {
		if err1 = r.list(ctx, &reports, reportsList, nodereport.Kind, ""); err1 != nil {
			cancel() // the rest is of no use
		}
	})
	all.Go(func() { err2 = r.list(ctx, &nodes, nodesList, kindNode, "") })
	all.Go(func() { err3 = r.proxies(ctx, &pods) })
	all.Wait()
	switch {
	case NotFound(err1):
		return nil, ErrNoReports
	case err1 != nil:
		return nil, fmt.Errorf("read the reports: %w", err1)
	}
	in := reports.input
	in.Now, in.Missing = now, map[cluster.Source]string{}
	in.Nodes, in.Proxy = nodes.input.Nodes, pods.input.Proxy
	if err2 != nil {
		in.Nodes, in.Missing[cluster.Nodes] = nil, err2.Error()
	}
	if err3 != nil {
		in.Proxy, in.Missing[cluster.Proxy] = cluster.KubeProxy{}, err3.Error()
	}
	return &in, nil
}

// proxies reads what there is of kube-proxy: the pods of its DaemonSet, or, where it has none, static ones, which have another label. To look for those too costs the API
// server as much as it does to read all pods.
func (r *clusterReader) proxies(ctx context.Context, into *view) error {
	if err := r.list(ctx, into, daemonSetsList, kindDaemonSet, ""); err != nil {
		return err
	}
	label := "component"
	for _, d := range into.input.Proxy.DaemonSets {
		if d.Desired > 0 {
			label = "k8s-app"
		}
	}
	return r.list(ctx, into, proxyPodsList, kindPod, label+"=kube-proxy")
}

type clusterReader struct {
	client *Client
	read   func(int)
	count  atomic.Int64
}

// list reads one kind of objects into a view. A list that has to begin anew leaves nothing of the one before.
func (r *clusterReader) list(ctx context.Context, into *view, path, kind, label string) error {
	for attempt := 0; ; attempt++ {
		var v view
		err := r.client.each(ctx, path, label, func(d *json.Decoder) error {
			if n := r.count.Add(1); r.read != nil && n%100 == 0 {
				r.read(int(n))
			}
			began := d.InputOffset()
			return v.take(kind, encoded{decode: d.Decode, size: func() int { return int(d.InputOffset() - began) }})
		})
		if err == nil {
			into.join(&v)
			return nil
		}
		if attempt+1 == attempts || Refused(err) || ctx.Err() != nil {
			return err
		}
		sleep(ctx, min(RetryAfter(err, attempt), 5*time.Second))
	}
}
