package cri

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// pauseImage is the name under which the runtime is to find the sandbox's image.
const pauseImage = "localhost/pause:1"

// writeImage writes an archive, as the OCI image specification lays it out, of one image that holds one static program.
func writeImage(t *testing.T, path string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "pause")
	if err := lab.Build(program, "./test/cri/pause"); err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	layer := archive(t, []file{{"pause", code}})
	config := document(t, map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{"Entrypoint": []string{"/pause"}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	manifest := document(t, map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": describe("application/vnd.oci.image.config.v1+json", config),
		"layers": []any{describe("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	entry := describe("application/vnd.oci.image.manifest.v1+json", manifest)
	entry["annotations"] = map[string]string{"io.containerd.image.name": pauseImage}
	files := []file{
		{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", document(t, map[string]any{"schemaVersion": 2, "manifests": []any{entry}})},
	}
	for _, blob := range [][]byte{layer, config, manifest} {
		files = append(files, file{fmt.Sprintf("blobs/sha256/%x", sha256.Sum256(blob)), blob})
	}
	if err := os.WriteFile(path, archive(t, files), 0o644); err != nil {
		t.Fatal(err)
	}
}

type file struct {
	name string
	data []byte
}

func archive(t *testing.T, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o755, Size: int64(len(f.data)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func document(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func digest(blob []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(blob)) }

func describe(kind string, blob []byte) map[string]any {
	return map[string]any{"mediaType": kind, "digest": digest(blob), "size": len(blob)}
}
