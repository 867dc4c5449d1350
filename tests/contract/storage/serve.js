// Serves a bucket `copies` over TLS on the loopback, and says on which port: node serve.js FOLDER CERTIFICATE KEY
const fs = require("fs");
const S3rver = require("s3rver");

const [directory, certificate, key] = process.argv.slice(2);
const options = {
  address: "127.0.0.1",
  port: 0,
  silent: true,
  directory,
  cert: fs.readFileSync(certificate),
  key: fs.readFileSync(key),
  configureBuckets: [{ name: "copies" }],
};
new S3rver(options).run((error, address) => {
  if (error) throw error;
  console.log(address.port);
});
