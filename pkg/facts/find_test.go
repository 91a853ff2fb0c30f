package facts

import (
	"strings"
	"testing"
)

func TestNamespaceAndLink(t *testing.T) {
	for _, tt := range []struct {
		name   string
		inodes []uint64
		links  []int
	}{
		{"in order", []uint64{11, 12, 15}, []int{1, 2, 5}},
		{"in another order", []uint64{15, 11, 12}, []int{5, 1, 2}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Snapshot{Host: Namespace{Inode: 1}}
			for _, n := range tt.inodes {
				s.Pods = append(s.Pods, Namespace{Inode: n})
			}
			for _, i := range tt.links {
				s.Host.Links = append(s.Host.Links, Link{Index: i})
			}
			for _, inode := range []uint64{1, 11, 12, 15} {
				if got := s.Namespace(inode); got == nil || got.Inode != inode {
					t.Errorf("Namespace(%d) = %+v; want it", inode, got)
				}
			}
			for _, inode := range []uint64{0, 13, 99} {
				if got := s.Namespace(inode); got != nil {
					t.Errorf("Namespace(%d) = %+v; want nil", inode, got)
				}
			}
			for _, index := range tt.links {
				if got := s.Host.Link(index); got == nil || got.Index != index {
					t.Errorf("Link(%d) = %+v; want it", index, got)
				}
			}
			for _, index := range []int{-1, 0, 3, 9} {
				if got := s.Host.Link(index); got != nil {
					t.Errorf("Link(%d) = %+v; want nil", index, got)
				}
			}
		})
	}
}

func TestDecodeOrdersPods(t *testing.T) {
	s, err := Decode(strings.NewReader(`{"schema":1,"taken":"2024-05-06T08:00:00Z","kinds":[],"host":{"inode":1},"pods":[{"inode":9},{"inode":3},{"inode":7}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint64{3, 7, 9} {
		if got := s.Pods[i].Inode; got != want {
			t.Errorf("pod %d has inode %d; want %d", i, got, want)
		}
	}
}
