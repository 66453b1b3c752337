// Validates custom resources by the validators that @kubernetes-models made of the projects' own CRDs.
// Usage: custom_resources.cjs NODE_MODULES < JSON list of objects
const path = require('node:path');
const packages = {
  'keda.sh': 'keda',
  'monitoring.coreos.com': 'prometheus-operator',
  'gateway.networking.k8s.io': 'gateway-api',
};
const validator = object => {
  const [group, version] = object.apiVersion.split('/');
  if (!packages[group]) throw new Error(`no validator for ${object.apiVersion}`);
  return require(path.resolve(process.argv[2], '@kubernetes-models', packages[group], group, version))[object.kind];
};
const objects = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));
let n_bad = 0;
for (const object of objects) {
  const Kind = validator(object);
  try {
    new Kind(object).validate();
  } catch (error) {
    n_bad += 1;
    console.error(`${object.kind} ${object.metadata.name}: ${error.message}`);
  }
  // That the validator finds something at all.
  let refused = false;
  try {
    new Kind({ ...object, spec: { ...object.spec, colour: 'red', triggers: 5, rules: 5, selector: 5, endpoints: 5, groups: 5 } }).validate();
  } catch {
    refused = true;
  }
  if (!refused) {
    n_bad += 1;
    console.error(`${object.kind}: nonsense is not refused`);
  }
}
console.log(`${objects.length} custom resources: ${objects.map(o => o.kind).join(', ')}`);
process.exit(n_bad ? 1 : 0);
