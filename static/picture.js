// Photos of phones are larger than the site takes, so the browser makes them smaller. Without this script, people must do that.
const LEAST_SIDE = 1024

async function smaller(file) {
  const image = await createImageBitmap(file).catch(() => null)
  if (!image) return
  const scale = Math.min(1, LEAST_SIDE / Math.min(image.width, image.height))
  const canvas = Object.assign(document.createElement('canvas'), { width: Math.round(image.width * scale), height: Math.round(image.height * scale) })
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height)
  const blob = await new Promise(done => canvas.toBlob(done, 'image/webp', .9))
  return blob && blob.size < file.size ? new File([blob], file.name) : undefined
}

for (const input of document.querySelectorAll('input[type=file][name=picture]')) {
  const button = input.form.querySelector('button')
  input.addEventListener('change', async () => {
    button.disabled = true
    const file = input.files.length && await smaller(input.files[0])
    button.disabled = false
    if (!file) return
    const files = new DataTransfer()
    files.items.add(file)
    input.files = files.files
  })
}
