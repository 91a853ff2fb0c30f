package helm

import (
	"encoding"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/nodereport"
)

const crdFile = "netmend/crds/nodenetworkreports.yaml"

// schema is what of a structural OpenAPI schema is used here. A key that is not in it fails the test.
type schema struct {
	Type        string             `json:"type"`
	Format      string             `json:"format"`
	Description string             `json:"description"`
	Enum        []string           `json:"enum"`
	Required    []string           `json:"required"`
	Properties  map[string]*schema `json:"properties"`
	Items       *schema            `json:"items"`
	MaxItems    *int               `json:"maxItems"`
	MaxLength   *int               `json:"maxLength"`
	Minimum     *int64             `json:"minimum"`
	Maximum     *int64             `json:"maximum"`
	ListType    string             `json:"x-kubernetes-list-type"`
}

// definition is the CustomResourceDefinition.
type definition struct {
	APIVersion, Kind string
	Metadata         struct{ Name string }
	Spec             struct {
		Group, Scope string
		Names        struct {
			Kind, ListKind, Plural, Singular string
			ShortNames                       []string
		}
		Versions []struct {
			Name                     string
			Served, Storage          bool
			AdditionalPrinterColumns []struct {
				Name, Type, JSONPath, Description string
				Priority                          int
			}
			Schema struct{ OpenAPIV3Schema *schema }
		}
	}
}

func readCRD(t *testing.T) *definition {
	t.Helper()
	text, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	var d definition
	if err := yaml.UnmarshalStrict(text, &d); err != nil {
		t.Fatal(err)
	}
	return &d
}

// TestCRDNames compares the names with those that the programs use.
func TestCRDNames(t *testing.T) {
	d := readCRD(t)
	n := d.Spec.Names
	got := []string{d.Metadata.Name, d.Spec.Group, d.Spec.Scope, n.Kind, n.ListKind, n.Plural, d.Spec.Versions[0].Name, strings.Join(n.ShortNames, ",")}
	want := []string{
		nodereport.Resource + "." + nodereport.Group, nodereport.Group, "Cluster", nodereport.Kind, nodereport.Kind + "List", nodereport.Resource,
		nodereport.Version, "nnr",
	}
	if !slices.Equal(got, want) || len(d.Spec.Versions) != 1 {
		t.Errorf("%q; want %q", got, want)
	}
}

// TestCRDColumns looks each column's path up in the schema.
func TestCRDColumns(t *testing.T) {
	v := readCRD(t).Spec.Versions[0]
	var always []string
	for _, c := range v.AdditionalPrinterColumns {
		if c.Priority == 0 {
			always = append(always, c.Name)
		}
		at := v.Schema.OpenAPIV3Schema
		for part := range strings.SplitSeq(strings.TrimPrefix(c.JSONPath, "."), ".") {
			if at = at.Properties[part]; at == nil || part == "metadata" {
				break
			}
		}
		if at == nil {
			t.Errorf("column %s: the schema has no %s", c.Name, c.JSONPath)
		}
	}
	if got, want := strings.Join(always, " "), "State Critical Warning Mended Age"; got != want {
		t.Errorf("columns %s; want %s", got, want)
	}
}

// TestCRDSchema compares the schema with the Go type, field by field in both directions: the API server drops fields that a schema does not have.
func TestCRDSchema(t *testing.T) {
	s := readCRD(t).Spec.Versions[0].Schema.OpenAPIV3Schema
	report := reflect.TypeFor[nodereport.Report]()
	status, _ := report.FieldByName("Status")
	if len(s.Properties) != report.NumField() || s.Properties["metadata"].Properties != nil {
		t.Errorf("an object has %d fields here and %d in Go, and its metadata is the API's own", len(s.Properties), report.NumField())
	}
	compare(t, "status", status.Type, s.Properties["status"])
}

func compare(t *testing.T, path string, typ reflect.Type, s *schema) {
	t.Helper()
	is := func(what string, ok bool) {
		t.Helper()
		if !ok {
			t.Errorf("%s: a Go %v is %s; the schema is %+v", path, typ, what, *s)
		}
	}
	switch {
	case typ == reflect.TypeFor[time.Time]():
		is("a date-time", s.Type == "string" && s.Format == "date-time")
	case typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || typ.Kind() == reflect.String:
		is("a bounded string", s.Type == "string" && (s.MaxLength != nil || len(s.Enum) > 0))
	case typ.Kind() == reflect.Pointer:
		compare(t, path, typ.Elem(), s)
	case typ.Kind() == reflect.Bool:
		is("a boolean", s.Type == "boolean")
	case typ.Kind() == reflect.Int:
		is("an integer of at least 0", s.Type == "integer" && s.Minimum != nil && *s.Minimum == 0)
	case typ.Kind() == reflect.Uint16, typ.Kind() == reflect.Uint32:
		largest := int64(1)<<typ.Bits() - 1
		is("an integer with its bounds", s.Type == "integer" && s.Minimum != nil && *s.Minimum == 0 && s.Maximum != nil && *s.Maximum == largest)
	case typ.Kind() == reflect.Slice:
		is("a bounded list, replaced as a whole", s.Type == "array" && s.MaxItems != nil && s.ListType == "atomic" && s.Items != nil)
		if s.Items != nil {
			compare(t, path+"[]", typ.Elem(), s.Items)
		}
	case typ.Kind() == reflect.Struct:
		is("an object", s.Type == "object")
		fields(t, path, typ, s)
	default:
		t.Errorf("%s: this test does not know what a Go %v is in a schema", path, typ)
	}
}

// fields compares the fields of a struct. Those that JSON always has are required.
func fields(t *testing.T, path string, typ reflect.Type, s *schema) {
	t.Helper()
	var names, always []string
	for i := range typ.NumField() {
		name, how, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		if how == "" {
			always = append(always, name)
		}
		if p := s.Properties[name]; p != nil {
			compare(t, path+"."+name, typ.Field(i).Type, p)
		} else {
			t.Errorf("%s: the schema lacks the field %s", path, name)
		}
	}
	for name := range s.Properties {
		if !slices.Contains(names, name) {
			t.Errorf("%s: the Go type has no field %s", path, name)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(s.Required)), slices.Sorted(slices.Values(always))) {
		t.Errorf("%s: required %q; JSON always has %q", path, s.Required, always)
	}
}
