// After a sign-in with the password, lets the browser make a passkey without asking, if it can
// (WebAuthn Level 3, conditional create). Nobody has asked for it: where it fails, nothing is said.

const make = async form => {
  const able = await PublicKeyCredential.getClientCapabilities()
  if (!able.conditionalCreate) return
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(form.dataset.automatic))
  const credential = await navigator.credentials.create({ publicKey, mediation: 'conditional' })
  form.elements.credential.value = JSON.stringify(credential)
  form.submit()
}

make(document.querySelector('form[data-automatic]')).catch(() => {})
