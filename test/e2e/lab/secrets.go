package lab

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// writeSecrets writes the token of the cluster's administrator, and the key with which service accounts' tokens are signed.
func writeSecrets(tokens, key string) error {
	if err := os.WriteFile(tokens, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return err
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return writePEM(key, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
}

// writeCertificate writes a key and a certificate that the API server shows its clients. The certificate has no other signer than itself, so clients trust it
// by having it.
func writeCertificate(cert, key string, addresses ...string) error {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kube-apiserver"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, DNSNames: []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc"},
	}
	for _, a := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(a))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err == nil {
		err = writePEM(cert, "CERTIFICATE", der)
	}
	if err == nil {
		err = writePEM(key, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private))
	}
	return err
}

func writePEM(path, kind string, data []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600)
}
