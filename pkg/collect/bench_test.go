package collect_test

import (
	"fmt"
	"testing"

	"github.com/netmend/netmend/pkg/collect"
)

// BenchmarkPods says what a node's pods cost, which must grow with their number and not with its square.
func BenchmarkPods(b *testing.B) {
	node := newNode(b)
	h := node.open()
	made := 0
	for _, pods := range []int{50, 250} {
		for made < pods {
			made++
			node.bridgePod(made)
		}
		b.Run(fmt.Sprint(pods), func(b *testing.B) {
			for b.Loop() {
				if got := len(collected(b, h, collect.Options{Kinds: collect.All()}).Pods); got != pods {
					b.Fatalf("%d pods; want %d", got, pods)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N*pods), "ms/pod")
		})
	}
}
